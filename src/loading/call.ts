import { listen, unlisten } from './abort.js'
import type { Flight, Waiter } from './flight.js'
import { type LoadStatus, tell } from './options.js'
import { type LoadRequest, subjectOf } from './request.js'
import type { LoadResult } from './result.js'
import { TimeBudget, timedOut } from './time-budget.js'

/** How {@link Call} asks for what it needs. */
export interface CallHost<V> {
  /** The flight that a call waits for, and whether another call began it. */
  begin(request: LoadRequest<V>, isFresh: boolean): { flight: Flight<LoadResult<V>>; isShared: boolean }
  /** The value that is in the cache now. */
  current(key: string): V | undefined
  /** The value past its TTL, for a call whose load failed or, `isSlow`, was not waited for. */
  stale(request: LoadRequest<V>, isSlow: boolean): V | undefined
  /** Told of a call that comes to an error; not of one that its caller gave up. */
  onFailedCall(): void
}

/**
 * One call of `getOrSet` that waits. Its promise is resolved where the value was found to hold, so that nothing but the
 * microtask of that promise lies between the two.
 */
export class Call<V> implements Waiter<LoadResult<V>> {
  readonly #host: CallHost<V>
  readonly #request: LoadRequest<V>
  readonly #resolve: (value: V) => void
  readonly #reject: (reason: unknown) => void
  readonly #budget: TimeBudget
  #isFresh: boolean
  #flight: Flight<LoadResult<V>> | undefined
  #isShared = false
  #timer: NodeJS.Timeout | undefined
  #pause: NodeJS.Timeout | undefined
  /** Whether a tag of its own changed during the load that it joined. */
  #isOvertaken = false
  #isOver = false

  constructor(
    host: CallHost<V>,
    request: LoadRequest<V>,
    isFresh: boolean,
    resolve: (value: V) => void,
    reject: (reason: unknown) => void,
  ) {
    this.#host = host
    this.#request = request
    this.#isFresh = isFresh
    this.#resolve = resolve
    this.#reject = reject
    this.#budget = new TimeBudget(request.hardTimeout)
  }

  start(): void {
    const { signal, timeout } = this.#request
    // Referenced: somebody waits for it, and gets an answer then.
    if (timeout < 2 ** 31) this.#timer = setTimeout(this.#onTimeout, timeout)
    if (signal !== undefined) listen(signal, this.#onAbort)
    this.#begin()
    // It may have been aborted while the work began.
    if (signal?.aborted) this.#onAbort()
  }

  #begin(): void {
    try {
      const { flight, isShared } = this.#host.begin(this.#request, this.#isFresh)
      this.#isShared = isShared
      this.#flight = flight
      flight.join(this)
      // The load itself may have ended the wait.
      if (this.#isOver) flight.leave(this, this.#request.signal?.reason)
    } catch (error) {
      this.fail(error)
    }
  }

  readonly #onTimeout = () => {
    this.#flight?.leave(this, undefined)
    this.fail(timedOut(subjectOf(this.#request), 'timeout', this.#request.timeout), true)
  }

  readonly #onAbort = () => {
    const { signal } = this.#request
    const { reason } = signal as AbortSignal
    if (!this.#finish()) return
    this.#flight?.leave(this, reason)
    this.#reject(reason)
  }

  /** Ends the wait; `false` if it has ended. */
  #finish(): boolean {
    if (this.#isOver) return false
    this.#isOver = true
    clearTimeout(this.#timer)
    clearTimeout(this.#pause)
    const { signal } = this.#request
    if (signal !== undefined) unlisten(signal, this.#onAbort)
    return true
  }

  #deliver(source: NonNullable<LoadStatus['source']>, value: V, error?: unknown): void {
    if (!this.#finish()) return
    tell(this.#request.status, source, error)
    this.#resolve(value)
  }

  check(isUnchanged: (tags: readonly string[]) => boolean): void {
    const { tags } = this.#request
    this.#isOvertaken = tags !== undefined && tags !== this.#flight?.tags && !isUnchanged(tags)
  }

  accept(result: LoadResult<V>): boolean {
    if (this.#isOver) return true
    if (this.#isOvertaken) {
      this.#isOvertaken = false
      // What was stored for the others does not carry that tag.
      this.#isFresh = true
      return false
    }
    const { accepts, refusal, key } = this.#request
    try {
      const newer = result.isFenced && !this.#isFresh ? this.#host.current(key) : undefined
      if (result.isFenced && newer === undefined) return false
      const value = newer ?? result.value()
      if (accepts !== undefined && !accepts(value)) {
        // It was stale, or shared with somebody who asked for less: what is loaded for this call alone decides.
        if (this.#isFresh) throw refusal?.(value)
        this.#isFresh = true
        return false
      }
      const source = this.#isShared ? 'shared' : result.isRemote ? 'remote' : 'load'
      this.#deliver(newer === undefined ? source : 'hit', value)
    } catch (error) {
      this.fail(error)
    }
    return true
  }

  retry(): void {
    if (this.#isOver) return
    try {
      const pause = this.#budget.retry(subjectOf(this.#request))
      if (pause === 0) this.#begin()
      else this.#pause = setTimeout(() => this.#begin(), pause)
    } catch (error) {
      this.fail(error)
    }
  }

  fail(error: unknown, isSlow = false): void {
    if (this.#isOver) return
    const slow = isSlow || (error as { code?: unknown } | null)?.code === 'ERR_CACHE_LOAD_TIMEOUT'
    let stale: V | undefined
    try {
      // Whoever asked for what is fresh is not served what was there before.
      if (!this.#isFresh) stale = this.#host.stale(this.#request, slow)
    } catch {
      // The cache was closed meanwhile; the error that brought us here is the one to tell.
    }
    if (stale !== undefined) this.#deliver('stale', stale, error)
    else if (this.#finish()) {
      this.#host.onFailedCall()
      this.#reject(error)
    }
  }
}
