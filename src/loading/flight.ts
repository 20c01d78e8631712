import { CacheError } from '../errors.js'

/** Work under way that several callers wait for. */
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
    const timer = startTimer(timeout, () => this.#abort.abort(timedOut(timeout)))
    this.#result = Promise.race([work(signal), aborted]).finally(() => {
      clearTimeout(timer)
      onEnd(this)
    })
    // Those who wait get the error; without them nobody would handle it.
    this.#result.catch(() => {})
  }

  /** Whether the work was given up. */
  get isAborted(): boolean {
    return this.#abort.signal.aborted
  }

  /**
   * Waits for the result. A caller whose `signal` is aborted, or that has waited `timeout` ms, goes alone;
   * the work is given up when the last one is aborted, and goes on after a time-out.
   */
  async wait(signal: AbortSignal | undefined, timeout: number): Promise<T> {
    this.#waiting++
    try {
      return await unlessEnded(this.#result, signal, timeout)
    } finally {
      this.#waiting--
      if (this.#waiting === 0 && signal?.aborted) this.#abort.abort(signal.reason)
    }
  }
}

function timedOut(timeout: number): CacheError {
  return new CacheError('ERR_CACHE_LOAD_TIMEOUT', `the load did not settle within ${timeout} ms`)
}

/** The longest delay that timers take; a longer one would fire at once. */
const MAX_DELAY = 2 ** 31 - 1

function startTimer(ms: number, body: () => void): NodeJS.Timeout | undefined {
  return ms > MAX_DELAY ? undefined : setTimeout(body, ms).unref()
}

/** `promise`, or the reason of `signal`, or a time-out, whichever is first. */
function unlessEnded<T>(promise: Promise<T>, signal: AbortSignal | undefined, timeout: number): Promise<T> {
  if (signal === undefined && timeout === Infinity) return promise
  return new Promise<T>((resolve, reject) => {
    const onAbort = () => reject(signal?.reason)
    const timer = startTimer(timeout, () => reject(timedOut(timeout)))
    signal?.addEventListener('abort', onAbort, { once: true })
    promise.then(resolve, reject).finally(() => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', onAbort)
    })
  })
}
