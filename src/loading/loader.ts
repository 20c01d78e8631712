import { backgroundError, nameOnChannels, traced } from '../common/channels.js'
import type { Clock } from '../common/clock.js'
import { CacheError } from '../common/errors.js'
import { duration } from '../common/options.js'
import { type Engine, Outcome } from '../engine/engine.js'
import type { Stored } from '../engine/stored.js'
import { Backoff } from './backoff.js'
import { Call, type CallHost, type Landing, subjectOf } from './call.js'
import { type LoadCounts, noLoads } from './counters.js'
import { type Failure, Flight } from './flight.js'
import { FreshLoads } from './fresh-loads.js'
import type { LoadEvents } from './load-events.js'
import { type LoadContext, tagList, tell } from './options.js'
import { isWithin, within } from './recursion.js'
import type { LoadRequest } from './request.js'
import { timedOut } from './time-budget.js'

type Claim = readonly [lease: number, fence: number]

/** What {@link Loader} asks of the cache that it loads for. */
export interface LoaderHost<V> {
  readonly name: string | undefined
  readonly engine: Engine
  readonly clock: Clock
  /** Whether channels are told keys instead of their digests. */
  readonly traceKeys: boolean
  encode(value: V): Stored
  /** The value for callers, and whether all of them may have this one: it cannot be changed. */
  share(stored: Stored): { value: V; isShared: boolean }
  /** Told that a value is about to be stored. */
  onWrite(): void
  /** Wakes whoever waits for a load in another thread. */
  readonly events: LoadEvents
}

/** Loads what is not in the cache: one load a key, over all threads, and none that was overtaken is stored. */
export class Loader<V> implements CallHost<V> {
  readonly #host: LoaderHost<V>
  readonly #flights = new Map<string, Flight<Landing<V>>>()
  readonly #backoff = new Backoff()
  readonly #fresh = new FreshLoads()
  counts: LoadCounts = noLoads()

  constructor(host: LoaderHost<V>) {
    this.#host = host
  }

  /** The value under a key that was not found: stale, if that is allowed, or loaded. */
  load(request: LoadRequest<V>): Promise<V> {
    return new Promise((resolve, reject) => {
      this.#refuseRecursion(request)
      if (request.staleWhileRevalidate > 0) {
        // Before the value is looked at that is served meanwhile: it runs code of the caller's.
        if (this.#staleWithin(request.key, request.staleWhileRevalidate) !== undefined) this.#refresh(request)
        const stale = this.#staleWithin(request.key, request.staleWhileRevalidate)
        if (stale !== undefined && request.accepts?.(stale) !== false) {
          this.counts.stale++
          request.onStale?.()
          tell(request.status, 'stale')
          resolve(stale)
          return
        }
      }
      new Call(this, request, false, resolve, reject).start()
    })
  }

  /**
   * Loads anew whatever is cached, and stores the result. Waits for no load that began before, and no other
   * caller waits for this one.
   */
  loadFresh(request: LoadRequest<V>): Promise<V> {
    return new Promise((resolve, reject) => {
      this.#refuseRecursion(request)
      new Call(this, request, true, resolve, reject).start()
    })
  }

  /**
   * Begins to load a cached value again, if little of its TTL is left; says whether it may have, and with it run code of
   * the caller's: a value that was read before is to be read again.
   */
  refreshIfDue(request: LoadRequest<V>): boolean {
    if (!this.#host.engine.isDue(request.key, request.refreshAhead)) return false
    this.#refresh(request)
    return true
  }

  #refuseRecursion(request: LoadRequest<V>): void {
    if (!isWithin(this, request.key)) return
    const message = `the load of ${subjectOf(request)} asks for its own result, and would wait for itself`
    throw new CacheError('ERR_CACHE_RECURSIVE_LOAD', message)
  }

  current(key: string): V | undefined {
    const stored = this.#host.engine.get(key)
    return stored === undefined ? undefined : this.#host.share(stored).value
  }

  stale(request: LoadRequest<V>, isSlow: boolean): V | undefined {
    const { staleIfError, staleWhileRevalidate } = request
    const allowed = isSlow ? Math.max(staleIfError, staleWhileRevalidate) : staleIfError
    const stale = this.#staleWithin(request.key, allowed)
    if (stale === undefined || request.accepts?.(stale) === false) return undefined
    this.counts.stale++
    request.onStale?.()
    return stale
  }

  /** What is stale for no more than `ms`. What was invalidated or removed never is. */
  #staleWithin(key: string, ms: number): V | undefined {
    if (ms === 0) return undefined
    const found = this.#host.engine.getStale(key)
    return found !== undefined && found[1] <= ms ? this.#host.share(found[0]).value : undefined
  }

  /** Begins a load that nobody waits for, unless one is under way or failed lately. */
  #refresh(request: LoadRequest<V>): void {
    if (this.#join(request) !== undefined) return
    if (this.#backoff.find(request.key, request.retryAfter, this.#host.clock.now()) !== undefined) return
    const claim = this.#claim(request)
    if (claim === undefined) return
    this.counts.refreshes++
    request.onRefresh?.()
    this.#fly(request, claim, true)
  }

  depart(request: LoadRequest<V>, isFresh: boolean): { flight: Flight<Landing<V>>; isShared: boolean } {
    if (isFresh) return { flight: this.#flyAlone(request), isShared: false }
    const joined = this.#join(request)
    if (joined !== undefined) {
      this.counts.loadsShared++
      return { flight: joined, isShared: true }
    }
    const failure = this.#backoff.find(request.key, request.retryAfter, this.#host.clock.now())
    if (failure !== undefined) {
      this.counts.backedOff++
      throw failure.error
    }
    const claim = this.#claim(request)
    const flight = claim === undefined ? this.#follow(request) : this.#fly(request, claim, false)
    return { flight, isShared: false }
  }

  /** The flight to which a caller that comes now may go: one that nothing has overtaken. */
  #join({ key, tags }: LoadRequest<V>): Flight<Landing<V>> | undefined {
    const { engine } = this.#host
    const flight = this.#flights.get(key)
    if (flight === undefined) return undefined
    const isCurrent =
      engine.permits(key, flight.fence, flight.tags) && engine.permits(key, flight.fence, tags)
    return isCurrent ? flight : undefined
  }

  #claim({ key, hardTimeout, tags }: LoadRequest<V>): Claim | undefined {
    return this.#host.engine.claim(key, hardTimeout, tags)
  }

  /** Loads without a lease, for one call. */
  #flyAlone(request: LoadRequest<V>): Flight<Landing<V>> {
    const fence = this.#host.engine.fence()
    const flight = this.#flight(request, fence, false, () => this.#fresh.end(request.key))
    this.#fresh.begin(request.key)
    this.#run(flight, () => this.#load(flight, request, fence, false, true))
    return flight
  }

  /** Loads under a lease. */
  #fly(request: LoadRequest<V>, [lease, fence]: Claim, isRefresh: boolean): Flight<Landing<V>> {
    const flight = this.#flight(request, fence, false, () => this.#settle(request.key, lease))
    this.#flights.set(request.key, flight)
    this.#run(flight, () => this.#loadClaimed(flight, request, fence, isRefresh))
    return flight
  }

  /** Waits for a load that another thread has begun, or another cache of the name, and loads if nothing comes of it. */
  #follow(request: LoadRequest<V>): Flight<Landing<V>> {
    const { engine, events } = this.#host
    let lease: number | undefined
    const flight = this.#flight(request, engine.fence(), true, () => {
      if (lease !== undefined) this.#settle(request.key, lease)
    })
    this.#flights.set(request.key, flight)
    this.#run(flight, async () => {
      for (let look = 0; ; look++) {
        await events.wait(request.key, look, flight.signal)
        if (flight.isOver) return
        const stored = engine.peek(request.key)
        if (stored !== undefined) return flight.land(this.#landing(stored, false))
        const claim = this.#claim(request)
        if (claim === undefined) continue
        lease = claim[0]
        return this.#loadClaimed(flight, request, claim[1], false)
      }
    })
    return flight
  }

  #flight(
    request: LoadRequest<V>,
    fence: number,
    keepsAlive: boolean,
    onEnd: () => void,
  ): Flight<Landing<V>> {
    const { key, tags } = request
    const flight = new Flight<Landing<V>>(fence, tags, keepsAlive, (failure) => {
      if (failure !== undefined) this.#onFailure(request, failure, flight.signal.aborted)
      if (this.#flights.get(key) === flight) this.#flights.delete(key)
      onEnd()
    })
    return flight
  }

  #onFailure({ key, retryAfter, onError }: LoadRequest<V>, failure: Failure, isAborted: boolean): void {
    const { error, wasAwaited } = failure
    this.counts.loadErrors++
    const { code } = Object(error) as { code?: unknown }
    // A load that its callers gave up, or that ended with the cache, says nothing about the source.
    if (code === 'ERR_CACHE_CLOSED' || (isAborted && code !== 'ERR_CACHE_LOAD_TIMEOUT')) return
    onError?.()
    if (retryAfter > 0) this.#backoff.remember(key, error, this.#host.clock.now())
    if (wasAwaited || !backgroundError.hasSubscribers) return
    const { name, traceKeys } = this.#host
    backgroundError.publish({ name, key: nameOnChannels(key, traceKeys), error })
  }

  /** Begins the work of a flight, which ends it. */
  #run(flight: Flight<Landing<V>>, work: () => Promise<void>): void {
    work().catch((error) => flight.fail(error))
  }

  #settle(key: string, lease: number): void {
    const { engine, events } = this.#host
    try {
      if (engine.settle(key, lease)) events.notify(key)
    } catch (error) {
      // Closing the cache has ended the lease.
      if ((error as { code?: string }).code !== 'ERR_CACHE_CLOSED') throw error
    }
  }

  /** Loads, unless another thread stored the value just before the lease was granted. */
  async #loadClaimed(
    flight: Flight<Landing<V>>,
    request: LoadRequest<V>,
    fence: number,
    isRefresh: boolean,
  ): Promise<void> {
    const { engine } = this.#host
    if (!isRefresh && engine.peek(request.key) !== undefined) {
      // The callers are about to wait for it.
      await null
      if (flight.isOver) return
      const stored = engine.peek(request.key)
      if (stored !== undefined) return flight.land(this.#landing(stored, false))
    }
    return this.#load(flight, request, fence, isRefresh)
  }

  async #load(
    flight: Flight<Landing<V>>,
    request: LoadRequest<V>,
    fence: number,
    isRefresh: boolean,
    isFresh = false,
  ): Promise<void> {
    const { engine, clock } = this.#host
    const { key, staleIfError, staleWhileRevalidate, hardTimeout } = request
    const start = clock.now()
    this.counts.loads++
    flight.startLoad(hardTimeout, () => timedOut(subjectOf(request), 'hardTimeout', hardTimeout))
    const grace = Math.max(staleIfError, staleWhileRevalidate)
    const context: LoadContext<V> = {
      signal: flight.signal,
      stale: this.#staleWithin(key, grace),
      ttl: request.ttl ?? engine.settings.ttl,
      tags: request.tags,
      store: true,
    }
    const value = await within(this, key, () => this.#call(request, context, isRefresh))
    // Whoever waited has been told of the end already, and a newer load may be under way.
    if (flight.isOver) return
    const stored = this.#host.encode(value)
    const landing = this.#landing(stored, false)
    request.check?.(landing.value(), context)
    const life = this.#life(context.ttl, request.ttlJitter)
    const tags = context.tags === undefined ? undefined : tagList(context.tags, 'tags')
    this.#backoff.forget(key)
    flight.check((more) => engine.permits(key, fence, more))
    // What was made of a stale value that was invalidated meanwhile is as old as that, whatever its own tags are.
    const isBasedOnLost = context.stale !== undefined && engine.getStale(key) === undefined
    // What its caller does not accept takes the place of nothing.
    const isStored = context.store && request.accepts?.(landing.value()) !== false
    if (isBasedOnLost || !isStored) {
      const isFenced = isBasedOnLost || !engine.permits(key, fence, tags)
      flight.land(isFenced ? this.#landing(stored, true) : landing)
      return
    }
    const left = life === Infinity ? Infinity : Math.max(0, Math.floor(life - (clock.now() - start)))
    this.#host.onWrite()
    // The moment at which it is certain that the value holds, or does not: those who wait get it in the same turn.
    const outcome = engine.set(key, stored, left, fence, tags, grace)
    if (outcome !== Outcome.Fenced) {
      if (isFresh) this.#fresh.stored(key, fence, stored)
      flight.land(landing)
    } else {
      const newer = isFresh ? this.#fresh.since(key, fence, engine.peek(key)) : undefined
      flight.land(newer === undefined ? this.#landing(stored, true) : this.#landing(newer, false))
    }
    request.onOutcome?.(outcome)
  }

  #call(request: LoadRequest<V>, context: LoadContext<V>, isRefresh: boolean): V | Promise<V> {
    const { name, traceKeys } = this.#host
    return traced(
      () => request.load(context),
      () => ({ name, key: nameOnChannels(request.key, traceKeys), isRefresh }),
    )
  }

  #landing(stored: Stored, isFenced: boolean): Landing<V> {
    const { share } = this.#host
    let first: { value: V; isShared: boolean } | undefined
    return {
      isFenced,
      value() {
        if (first?.isShared) return first.value
        const next = share(typeof stored === 'string' ? stored : new Uint8Array(stored))
        first ??= next
        return next.value
      },
    }
  }

  /** The TTL of a result, shortened at random by up to the part that `jitter` says. */
  #life(ttl: number | undefined, jitter: number): number {
    const life = duration(ttl ?? this.#host.engine.settings.ttl, 'ttl')
    return jitter === 0 ? life : life * (1 - jitter * Math.random())
  }

  resetCounts(): void {
    this.counts = noLoads()
  }
}
