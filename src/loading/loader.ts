import { setTimeout as pause } from 'node:timers/promises'
import { CacheError } from '../common/errors.js'
import { checkTtl } from '../common/validate.js'
import { type Engine, Outcome, type Stored } from '../engine/engine.js'
import { checkedTags } from '../engine/limits.js'
import { Flight, type FlightControl } from './flight.js'
import type { LoadContext, LoadStatus } from './options.js'
import type { Wakeups } from './wakeups.js'

/** What a load came to. */
interface Landing {
  readonly stored: Stored
  /** Whether an invalidation overtook it. */
  readonly isFenced: boolean
}

/** A call whose arguments were checked and whose defaults are filled in. */
export interface Request<V> {
  readonly key: string
  readonly load: (context: LoadContext<V>) => V | Promise<V>
  readonly ttl: number | undefined
  readonly tags: readonly string[] | undefined
  readonly signal: AbortSignal | undefined
  readonly timeout: number
  readonly hardTimeout: number
  readonly staleWhileRevalidate: number
  readonly staleIfError: number
  readonly refreshAhead: number
  readonly ttlJitter: number
  readonly status: LoadStatus | undefined
  /** Told what became of a result, where it came to storing it. */
  readonly onOutcome?: (outcome: number) => void
  /** Told that a load that this call began has failed. */
  readonly onError?: () => void
}

/** What a loader did. */
export interface LoadCounts {
  /** Loads begun. */
  loads: number
  /** Loads of those that failed. */
  loadErrors: number
  /** Callers that shared a load begun by another of this object. */
  loadsShared: number
  /** Stale values served. */
  stale: number
  /** Loads of those begun while a value was served. */
  refreshes: number
}

type Claim = readonly [lease: number, fence: number]

/** What {@link Loader} asks of the cache that it loads for. */
export interface LoaderHost<V> {
  readonly engine: Engine
  encode(value: V): Stored
  decode(stored: Stored): V
  /** Wakes whoever waits for a load in another thread. */
  readonly wakeups: Wakeups
}

/** Loads what is not in the cache: one load a key, over all threads, and none that was overtaken is stored. */
export class Loader<V> {
  readonly #host: LoaderHost<V>
  readonly #flights = new Map<string, Flight<Landing>>()
  counts = emptyCounts()

  constructor(host: LoaderHost<V>) {
    this.#host = host
  }

  /** The value for one caller. */
  #serve({ status }: Request<V>, source: NonNullable<LoadStatus['source']>, stored: Stored): V {
    if (status !== undefined) status.source = source
    // What was loaded is still in the hands of others.
    const isShared = typeof stored !== 'string' && (source === 'load' || source === 'shared')
    return this.#host.decode(isShared ? new Uint8Array(stored) : stored)
  }

  /** The value under a key that was not found: stale, if that is allowed, or loaded. */
  async loadMissing(request: Request<V>): Promise<V> {
    const { key, signal, staleWhileRevalidate, staleIfError } = request
    const stale = this.#staleWithin(key, staleWhileRevalidate)
    if (stale !== undefined) {
      this.#refresh(request)
      return this.#serveStale(request, stale, undefined)
    }
    const time = new CallTime(request)
    for (;;) {
      const joined = this.#join(request)
      if (joined !== undefined) this.counts.loadsShared++
      const flight = joined ?? this.#takeOff(request)
      let landing: Landing
      try {
        landing = await flight.wait(signal, time.left())
      } catch (error) {
        // A caller that went away asks for nothing any more.
        const isSlow = (error as { code?: string } | undefined)?.code === 'ERR_CACHE_LOAD_TIMEOUT'
        const allowed = isSlow ? Math.max(staleIfError, staleWhileRevalidate) : staleIfError
        const kept = signal?.aborted ? undefined : this.#staleWithin(key, allowed)
        if (kept === undefined) throw error
        return this.#serveStale(request, kept, error)
      }
      if (!landing.isFenced) return this.#serve(request, joined ? 'shared' : 'load', landing.stored)
      const newer = this.#host.engine.get(key)
      if (newer !== undefined) return this.#serve(request, 'hit', newer)
      await time.again()
    }
  }

  /**
   * Loads anew whatever is cached, and stores the result. Waits for no load that began before, and no other
   * caller waits for this one.
   */
  async loadFresh(request: Request<V>): Promise<V> {
    const time = new CallTime(request)
    for (;;) {
      const fence = this.#host.engine.fence()
      const flight = new Flight<Landing>(fence, request.tags, request.hardTimeout, false)
      this.#start(flight, request, (control) => this.#load(request, control, fence))
      const landing = await flight.wait(request.signal, time.left())
      if (!landing.isFenced) return this.#serve(request, 'load', landing.stored)
      await time.again()
    }
  }

  /** What is stale for no more than `ms`. What was invalidated or removed never is. */
  #staleWithin(key: string, ms: number): Stored | undefined {
    if (ms === 0) return undefined
    const found = this.#host.engine.getStale(key)
    return found !== undefined && found[1] <= ms ? found[0] : undefined
  }

  #serveStale(request: Request<V>, stored: Stored, error: unknown): V {
    this.counts.stale++
    if (request.status !== undefined) request.status.error = error
    return this.#serve(request, 'stale', stored)
  }

  /** Begins to load a cached value again, if little of its TTL is left. */
  refreshIfDue(request: Request<V>): void {
    if (this.#host.engine.isDue(request.key, request.refreshAhead)) this.#refresh(request)
  }

  /** Begins a load that nobody waits for, unless one is under way. */
  #refresh(request: Request<V>): void {
    if (this.#join(request) !== undefined) return
    const claim = this.#claim(request)
    if (claim === undefined) return
    this.counts.refreshes++
    this.#fly(request, claim, true)
  }

  /** The flight to which a caller that comes now may go: one that nothing has overtaken. */
  #join({ key, tags }: Request<V>): Flight<Landing> | undefined {
    const { engine } = this.#host
    const flight = this.#flights.get(key)
    if (flight === undefined || flight.isAborted) return undefined
    const isCurrent =
      engine.permits(key, flight.fence, flight.tags) && engine.permits(key, flight.fence, tags)
    return isCurrent ? flight : undefined
  }

  #claim({ key, hardTimeout, tags }: Request<V>): Claim | undefined {
    return this.#host.engine.claim(key, hardTimeout, tags)
  }

  #takeOff(request: Request<V>): Flight<Landing> {
    const claim = this.#claim(request)
    return claim === undefined ? this.#follow(request) : this.#fly(request, claim, false)
  }

  /** Loads under a lease. */
  #fly(request: Request<V>, [lease, fence]: Claim, isRefresh: boolean): Flight<Landing> {
    const flight = this.#register(request, fence, false)
    const work = (control: FlightControl) => this.#loadClaimed(request, control, fence, isRefresh)
    this.#start(flight, request, work, () => this.#settle(request.key, lease))
    return flight
  }

  /** Waits for a load that another thread has begun, or another cache of the name, and loads if nothing comes of it. */
  #follow(request: Request<V>): Flight<Landing> {
    const { engine, wakeups } = this.#host
    const flight = this.#register(request, engine.fence(), true)
    let lease: number | undefined
    const work = async (control: FlightControl): Promise<Landing> => {
      for (let look = 0; ; look++) {
        await wakeups.wait(request.key, look, control.signal)
        control.signal.throwIfAborted()
        const stored = engine.peek(request.key)
        if (stored !== undefined) return { stored, isFenced: false }
        const claim = this.#claim(request)
        if (claim === undefined) continue
        lease = claim[0]
        return this.#loadClaimed(request, control, claim[1], false)
      }
    }
    this.#start(flight, request, work, () => {
      if (lease !== undefined) this.#settle(request.key, lease)
    })
    return flight
  }

  /** A flight that others who ask for the key find, before its work has begun. */
  #register({ key, tags, hardTimeout }: Request<V>, fence: number, follows: boolean): Flight<Landing> {
    const flight = new Flight<Landing>(fence, tags, hardTimeout, follows)
    this.#flights.set(key, flight)
    return flight
  }

  #start(
    flight: Flight<Landing>,
    { key, onError }: Request<V>,
    work: (control: FlightControl) => Promise<Landing>,
    onEnd?: () => void,
  ): void {
    flight.start(work, (error) => {
      if (error !== undefined) {
        this.counts.loadErrors++
        onError?.()
      }
      if (this.#flights.get(key) === flight) this.#flights.delete(key)
      onEnd?.()
    })
  }

  #settle(key: string, lease: number): void {
    const { engine, wakeups } = this.#host
    try {
      if (engine.settle(key, lease)) wakeups.notify(key)
    } catch (error) {
      // Closing the cache has ended the lease.
      if ((error as { code?: string }).code !== 'ERR_CACHE_CLOSED') throw error
    }
  }

  /** Loads, unless another thread stored the value just before the lease was granted. */
  async #loadClaimed(
    request: Request<V>,
    control: FlightControl,
    fence: number,
    isRefresh: boolean,
  ): Promise<Landing> {
    const stored = isRefresh ? undefined : this.#host.engine.peek(request.key)
    return stored === undefined ? this.#load(request, control, fence) : { stored, isFenced: false }
  }

  async #load(request: Request<V>, control: FlightControl, fence: number): Promise<Landing> {
    const { engine } = this.#host
    const { key, staleIfError, staleWhileRevalidate } = request
    const { signal } = control
    const start = performance.now()
    this.counts.loads++
    control.startLoad()
    const grace = Math.max(staleIfError, staleWhileRevalidate)
    const stale = this.#staleWithin(key, grace)
    const context: LoadContext<V> = {
      signal,
      stale: stale === undefined ? undefined : this.#host.decode(stale),
      ttl: request.ttl ?? engine.settings.ttl,
      tags: request.tags,
      store: true,
    }
    const stored = this.#host.encode(await request.load(context))
    const life = this.#life(context.ttl, request.ttlJitter)
    const tags = context.tags === undefined ? undefined : checkedTags(context.tags)
    // Whoever waited has been told of the end already, and a newer load may be under way.
    if (signal.aborted) return { stored, isFenced: true }
    if (!context.store) return { stored, isFenced: !engine.permits(key, fence, tags) }
    const left = life === Infinity ? Infinity : Math.max(0, Math.floor(life - (performance.now() - start)))
    const outcome = engine.set(key, stored, left, fence, tags, grace)
    request.onOutcome?.(outcome)
    return { stored, isFenced: outcome === Outcome.Fenced }
  }

  /** The TTL of a result, shortened at random by up to the part that `jitter` says. */
  #life(ttl: number | undefined, jitter: number): number {
    const life = ttl ?? this.#host.engine.settings.ttl
    checkTtl(life)
    return jitter === 0 ? life : life * (1 - jitter * Math.random())
  }

  resetCounts(): void {
    this.counts = emptyCounts()
  }
}

function emptyCounts(): LoadCounts {
  return { loads: 0, loadErrors: 0, loadsShared: 0, stale: 0, refreshes: 0 }
}

/** How long one call may take, whatever number of loads it comes to. */
class CallTime {
  readonly #start = performance.now()
  readonly #timeout: number
  readonly #hardTimeout: number
  #loads = 0

  constructor({ timeout, hardTimeout }: Pick<Request<unknown>, 'timeout' | 'hardTimeout'>) {
    this.#timeout = timeout
    this.#hardTimeout = hardTimeout
  }

  /** Ms for which the caller still waits. */
  left(): number {
    return this.#timeout === Infinity ? Infinity : Math.max(0, this.#timeout - this.#taken())
  }

  #taken(): number {
    return performance.now() - this.#start
  }

  /**
   * To be called before a load that was overtaken is begun again. Throws when that has gone on for longer than
   * one load may take; from the third time on it lets others have their turn first.
   */
  async again(): Promise<void> {
    if (this.#taken() >= this.#hardTimeout) {
      const message = `each load was overtaken by an invalidation, for ${this.#hardTimeout} ms`
      throw new CacheError('ERR_CACHE_OVERTAKEN', message)
    }
    this.#loads++
    if (this.#loads > 2) await pause(1)
  }
}
