import { type Engine, Outcome, type Stored } from '../engine/engine.js'
import { checkedTags, checkTtl } from '../validate.js'
import { Flight } from './flight.js'
import type { LoadContext, LoadStatus } from './options.js'
import type { Wakeups } from './wakeups.js'

/** Loads that one call begins if each in turn is overtaken by an invalidation. */
const ATTEMPTS = 4

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
  /** Wakes whoever waits for a load in another thread; `undefined` for a cache that no other can open. */
  readonly wakeups: Wakeups | undefined
}

/** Loads what is not in the cache: one load a key, over all threads, and none that was overtaken is stored. */
export class Loader<V> {
  readonly #host: LoaderHost<V>
  readonly #flights = new Map<string, Flight<Landing>>()
  counts = emptyCounts()

  constructor(host: LoaderHost<V>) {
    this.#host = host
  }

  #serve({ status }: Request<V>, source: NonNullable<LoadStatus['source']>, stored: Stored): V {
    if (status !== undefined) status.source = source
    return this.#host.decode(stored)
  }

  /** The value under a key that was not found: stale, if that is allowed, or loaded. */
  async loadMissing(request: Request<V>): Promise<V> {
    const { key, signal, timeout, staleWhileRevalidate, staleIfError } = request
    const stale = this.#staleWithin(key, staleWhileRevalidate)
    if (stale !== undefined) {
      this.#refresh(request)
      return this.#serveStale(request, stale, undefined)
    }
    for (let attempt = 1; ; attempt++) {
      const { flight, isShared } = this.#join(request) ?? this.#takeOff(request)
      let landing: Landing
      try {
        landing = await flight.wait(signal, timeout)
      } catch (error) {
        // A caller that went away asks for nothing any more.
        const isSlow = (error as { code?: string } | undefined)?.code === 'ERR_CACHE_LOAD_TIMEOUT'
        const allowed = isSlow ? Math.max(staleIfError, staleWhileRevalidate) : staleIfError
        const kept = signal?.aborted ? undefined : this.#staleWithin(key, allowed)
        if (kept === undefined) throw error
        return this.#serveStale(request, kept, error)
      }
      if (!landing.isFenced || attempt === ATTEMPTS) {
        return this.#serve(request, isShared ? 'shared' : 'load', landing.stored)
      }
      const newer = this.#host.engine.get(key)
      if (newer !== undefined) return this.#serve(request, 'hit', newer)
    }
  }

  /** Loads anew whatever is cached, and stores the result. Waits for no load that began before. */
  async loadFresh(request: Request<V>): Promise<V> {
    for (let attempt = 1; ; attempt++) {
      const fence = this.#host.engine.fence()
      const flight = this.#begin(request, fence, (signal) => this.#load(request, signal, fence))
      const landing = await flight.wait(request.signal, request.timeout)
      if (!landing.isFenced || attempt === ATTEMPTS) return this.#serve(request, 'load', landing.stored)
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
    if (request.refreshAhead === 0) return
    const { engine } = this.#host
    const ttl = request.ttl ?? engine.settings.ttl
    if (ttl === Infinity || engine.remainingTtl(request.key) > ttl * request.refreshAhead) return
    this.#refresh(request)
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
  #join({ key }: Request<V>): { flight: Flight<Landing>; isShared: true } | undefined {
    const flight = this.#flights.get(key)
    if (flight === undefined || flight.isAborted) return undefined
    if (!this.#host.engine.permits(key, flight.fence, flight.tags)) return undefined
    this.counts.loadsShared++
    return { flight, isShared: true }
  }

  #claim({ key, hardTimeout, tags }: Request<V>): Claim | undefined {
    return this.#host.engine.claim(key, hardTimeout, tags)
  }

  #takeOff(request: Request<V>): { flight: Flight<Landing>; isShared: false } {
    const claim = this.#claim(request)
    const flight = claim === undefined ? this.#follow(request) : this.#fly(request, claim)
    return { flight, isShared: false }
  }

  /** Loads under a lease. */
  #fly(request: Request<V>, claim: Claim, isRefresh = false): Flight<Landing> {
    const [lease, fence] = claim
    const work = (signal: AbortSignal) =>
      isRefresh ? this.#load(request, signal, fence) : this.#loadClaimed(request, signal, fence)
    return this.#begin(request, fence, work, () => this.#settle(request.key, lease))
  }

  /** Waits for the load of another thread, and loads if nothing comes of it. */
  #follow(request: Request<V>): Flight<Landing> {
    const { engine, wakeups } = this.#host
    let lease: number | undefined
    const work = async (signal: AbortSignal): Promise<Landing> => {
      for (let look = 0; ; look++) {
        await wakeups?.wait(request.key, look, signal)
        signal.throwIfAborted()
        const stored = engine.peek(request.key)
        if (stored !== undefined) return { stored, isFenced: false }
        const claim = this.#claim(request)
        if (claim === undefined) continue
        lease = claim[0]
        return this.#loadClaimed(request, signal, claim[1])
      }
    }
    return this.#begin(request, engine.fence(), work, () => {
      if (lease !== undefined) this.#settle(request.key, lease)
    })
  }

  #begin(
    { key, tags, hardTimeout }: Request<V>,
    fence: number,
    work: (signal: AbortSignal) => Promise<Landing>,
    onEnd?: () => void,
  ): Flight<Landing> {
    const flight = new Flight(fence, tags, hardTimeout, work, (ended) => {
      if (this.#flights.get(key) === ended) this.#flights.delete(key)
      onEnd?.()
    })
    this.#flights.set(key, flight)
    return flight
  }

  #settle(key: string, lease: number): void {
    const { engine, wakeups } = this.#host
    try {
      if (engine.settle(key, lease)) wakeups?.notify(key)
    } catch (error) {
      // Closing the cache has ended the lease.
      if ((error as { code?: string }).code !== 'ERR_CACHE_CLOSED') throw error
    }
  }

  /** Loads, unless another thread stored the value just before the lease was granted. */
  async #loadClaimed(request: Request<V>, signal: AbortSignal, fence: number): Promise<Landing> {
    const stored = this.#host.engine.peek(request.key)
    return stored === undefined ? this.#load(request, signal, fence) : { stored, isFenced: false }
  }

  async #load(request: Request<V>, signal: AbortSignal, fence: number): Promise<Landing> {
    const { engine } = this.#host
    const { key, staleIfError, staleWhileRevalidate } = request
    const start = performance.now()
    this.counts.loads++
    try {
      const grace = Math.max(staleIfError, staleWhileRevalidate)
      const stale = this.#staleWithin(key, grace)
      const context: LoadContext<V> = {
        signal,
        stale: stale === undefined ? undefined : this.#host.decode(stale),
        ttl: request.ttl ?? engine.settings.ttl,
        tags: request.tags,
        store: true,
      }
      const value = await request.load(context)
      const stored = this.#host.encode(value)
      const life = this.#life(context.ttl, request.ttlJitter)
      const tags = context.tags === undefined ? undefined : checkedTags(context.tags)
      // Whoever waited has been told of the end already, and a newer load may be under way.
      if (signal.aborted) return { stored, isFenced: true }
      if (!context.store) return { stored, isFenced: !engine.permits(key, fence, tags) }
      const left = life === Infinity ? Infinity : Math.max(0, Math.floor(life - (performance.now() - start)))
      const outcome = engine.set(key, stored, left, fence, tags, grace)
      request.onOutcome?.(outcome)
      return { stored, isFenced: outcome === Outcome.Fenced }
    } catch (error) {
      this.counts.loadErrors++
      throw error
    }
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
