import { backgroundError, nameOnChannels } from '../common/channels.js'
import { CacheError } from '../common/errors.js'
import { Backoff } from './backoff.js'
import { Call, type CallHost } from './call.js'
import { type LoadCounts, noLoads } from './counters.js'
import { type Failure, Flight } from './flight.js'
import { FreshLoads } from './fresh-loads.js'
import { type LoadHost, staleWithin } from './host.js'
import { type Load, runLoad } from './load.js'
import { tell } from './options.js'
import { isWithin } from './recursion.js'
import { type LoadRequest, subjectOf } from './request.js'
import { type LoadResult, resultOf } from './result.js'

type Claim = readonly [lease: number, fence: number]

/** Loads what is not in the cache: one load a key, over all threads, and none that was overtaken is stored. */
export class Loader<V> implements CallHost<V> {
  readonly #host: LoadHost<V>
  readonly #flights = new Map<string, Flight<LoadResult<V>>>()
  readonly #backoff = new Backoff()
  readonly #fresh = new FreshLoads()
  counts: LoadCounts = noLoads()

  constructor(host: LoadHost<V>) {
    this.#host = host
  }

  #count(counter: keyof LoadCounts): void {
    this.counts[counter]++
    this.#host.recorder.count(counter)
  }

  /** The value under a key that was not found: stale, if that is allowed, or loaded. */
  load(request: LoadRequest<V>): Promise<V> {
    return new Promise((resolve, reject) => {
      this.#refuseRecursion(request)
      if (request.staleWhileRevalidate > 0) {
        // Before the value is looked at that is served meanwhile: it runs code of the caller's.
        if (staleWithin(this.#host, request.key, request.staleWhileRevalidate) !== undefined)
          this.#refresh(request)
        const stale = staleWithin(this.#host, request.key, request.staleWhileRevalidate)
        if (stale !== undefined && request.accepts?.(stale) !== false) {
          this.#count('stale')
          request.onStale?.(stale)
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

  /** Whether a load of this thread is under way, which a caller may be waiting for. */
  isLoading(key: string): boolean {
    return this.#flights.has(key)
  }

  current(key: string): V | undefined {
    const stored = this.#host.engine.get(key)
    return stored === undefined ? undefined : this.#host.share(stored).value
  }

  stale(request: LoadRequest<V>, isSlow: boolean): V | undefined {
    const { staleIfError, staleWhileRevalidate } = request
    const allowed = isSlow ? Math.max(staleIfError, staleWhileRevalidate) : staleIfError
    const stale = staleWithin(this.#host, request.key, allowed) ?? this.#staleRemote(request)
    if (stale === undefined || request.accepts?.(stale) === false) return undefined
    this.#count('stale')
    request.onStale?.(stale)
    return stale
  }

  #staleRemote({ key, staleIfError, validate }: LoadRequest<V>): V | undefined {
    const stored = this.#host.second?.stale(key, staleIfError)
    if (stored === undefined) return undefined
    const { value } = this.#host.share(stored)
    validate?.(value)
    return value
  }

  /** Begins a load that nobody waits for, unless one is under way or failed lately. */
  #refresh(request: LoadRequest<V>): void {
    if (this.#join(request) !== undefined) return
    if (this.#backoff.find(request.key, request.retryAfter, this.#host.clock.now()) !== undefined) return
    const claim = this.#claim(request)
    if (claim === undefined) return
    this.#count('refreshes')
    request.onRefresh?.()
    this.#lead(request, claim, true)
  }

  begin(request: LoadRequest<V>, isFresh: boolean): { flight: Flight<LoadResult<V>>; isShared: boolean } {
    if (isFresh) return { flight: this.#leadAlone(request), isShared: false }
    const joined = this.#join(request)
    if (joined !== undefined) {
      this.#count('loadsShared')
      return { flight: joined, isShared: true }
    }
    const failure = this.#backoff.find(request.key, request.retryAfter, this.#host.clock.now())
    if (failure !== undefined) {
      this.#count('backedOff')
      throw failure.error
    }
    const claim = this.#claim(request)
    const flight = claim === undefined ? this.#follow(request) : this.#lead(request, claim, false)
    return { flight, isShared: false }
  }

  /** The flight to which a caller that comes now may go: one that nothing has overtaken. */
  #join({ key, tags }: LoadRequest<V>): Flight<LoadResult<V>> | undefined {
    const { engine, second } = this.#host
    const flight = this.#flights.get(key)
    if (flight === undefined || second?.joins(flight.began) === false) return undefined
    const isCurrent =
      engine.permits(key, flight.fence, flight.tags) && engine.permits(key, flight.fence, tags)
    return isCurrent ? flight : undefined
  }

  #claim({ key, hardTimeout, tags }: LoadRequest<V>): Claim | undefined {
    return this.#host.engine.claim(key, hardTimeout, tags)
  }

  /** Loads without a lease, for one call. */
  #leadAlone(request: LoadRequest<V>): Flight<LoadResult<V>> {
    const fence = this.#host.engine.fence()
    const flight = this.#flight(request, fence, false, () => this.#fresh.end(request.key))
    this.#fresh.begin(request.key)
    this.#run(flight, () => this.#load({ request, flight, fence, isRefresh: false, fresh: this.#fresh }))
    return flight
  }

  /** Loads under a lease. */
  #lead(request: LoadRequest<V>, [lease, fence]: Claim, isRefresh: boolean): Flight<LoadResult<V>> {
    const flight = this.#flight(request, fence, false, () => this.#settle(request.key, lease))
    this.#flights.set(request.key, flight)
    this.#run(flight, () => this.#loadClaimed({ request, flight, fence, isRefresh, fresh: undefined }))
    return flight
  }

  /** Waits for a load that another thread has begun, or another cache of the name, and loads if nothing comes of it. */
  #follow(request: LoadRequest<V>): Flight<LoadResult<V>> {
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
        if (stored !== undefined) {
          this.#host.recorder.count('loadsShared')
          return flight.resolve(resultOf(stored, false, this.#host.share))
        }
        const claim = this.#claim(request)
        if (claim === undefined) continue
        lease = claim[0]
        return this.#loadClaimed({ request, flight, fence: claim[1], isRefresh: false, fresh: undefined })
      }
    })
    return flight
  }

  #flight(
    request: LoadRequest<V>,
    fence: number,
    keepsAlive: boolean,
    onEnd: () => void,
  ): Flight<LoadResult<V>> {
    const { key, tags } = request
    const began = this.#host.second?.now() ?? 0
    const flight = new Flight<LoadResult<V>>(fence, began, tags, keepsAlive, (failure) => {
      if (failure === undefined) this.#backoff.forget(key)
      else this.#onFailure(request, failure, flight.isAborted)
      if (this.#flights.get(key) === flight) this.#flights.delete(key)
      onEnd()
    })
    return flight
  }

  #onFailure({ key, retryAfter, onError }: LoadRequest<V>, failure: Failure, isAborted: boolean): void {
    const { error, wasAwaited } = failure
    this.#count('loadErrors')
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
  #run(flight: Flight<LoadResult<V>>, work: () => Promise<void>): void {
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
  async #loadClaimed(load: Load<V>): Promise<void> {
    const { engine, share } = this.#host
    const { flight, isRefresh, request } = load
    if (!isRefresh && engine.peek(request.key) !== undefined) {
      // The callers are about to wait for it.
      await null
      if (flight.isOver) return
      const stored = engine.peek(request.key)
      if (stored !== undefined) return flight.resolve(resultOf(stored, false, share))
    }
    return this.#load(load)
  }

  #load(load: Load<V>): Promise<void> {
    return runLoad(this, this.#host, load, () => this.#count('loads'))
  }

  onFailedCall(): void {
    this.#host.recorder.count('failedCalls')
  }

  resetCounts(): void {
    this.counts = noLoads()
    this.#host.recorder.reset()
  }
}
