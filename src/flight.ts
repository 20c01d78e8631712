import { CacheError } from './errors.js'

/** Work under way that several callers wait for. It is abandoned when the last of them has gone. */
export class Flight<T> {
  /** The fence taken before the work began. */
  readonly fence: number
  /** The tags that its result will carry. */
  readonly tags: readonly string[] | undefined
  readonly #abort = new AbortController()
  readonly #result: Promise<T>
  #waiting = 0

  /**
   * Begins `work` at once. After `timeout` ms it fails with `ERR_CACHE_LOAD_TIMEOUT`. However it ends,
   * `onEnd` is called once, before anyone who waits goes on.
   */
  constructor(
    fence: number,
    tags: readonly string[] | undefined,
    timeout: number,
    work: (signal: AbortSignal) => Promise<T>,
    onEnd: (flight: Flight<T>) => void,
  ) {
    this.fence = fence
    this.tags = tags
    const { signal } = this.#abort
    const aborted = new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason), { once: true })
    })
    const timer = timeout === Infinity ? undefined : setTimeout(() => this.#expire(timeout), timeout).unref()
    this.#result = Promise.race([work(signal), aborted]).finally(() => {
      clearTimeout(timer)
      onEnd(this)
    })
    // Those who wait get the error; without them nobody would handle it.
    this.#result.catch(() => {})
  }

  #expire(timeout: number): void {
    this.#abort.abort(
      new CacheError('ERR_CACHE_LOAD_TIMEOUT', `the load did not settle within ${timeout} ms`),
    )
  }

  /** Whether the work was given up. */
  get isAborted(): boolean {
    return this.#abort.signal.aborted
  }

  /** Waits for the result. A caller's `signal` ends its own wait, and the last one's the work. */
  async wait(signal: AbortSignal | undefined): Promise<T> {
    this.#waiting++
    try {
      return await unlessAborted(this.#result, signal)
    } finally {
      this.#waiting--
      if (this.#waiting === 0 && signal?.aborted) this.#abort.abort(signal.reason)
    }
  }
}

/** `promise`, or the reason of `signal` where that is aborted first. */
function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise
  return new Promise<T>((resolve, reject) => {
    const onAbort = () => reject(signal.reason)
    const settled = () => signal.removeEventListener('abort', onAbort)
    signal.addEventListener('abort', onAbort, { once: true })
    promise.then(resolve, reject).finally(settled)
  })
}
