import { CacheError } from '../common/errors.js'

/** What the work of a flight is given. */
export interface FlightControl {
  /** Aborted when the work was given up. */
  readonly signal: AbortSignal
  /**
   * Tells that the load itself begins: from now on it counts against the time that the work may take, and
   * what it waits for keeps the process alive or not.
   */
  startLoad(): void
}

/** Work under way that several callers wait for. */
export class Flight<T> {
  /** The fence taken before the work began. */
  readonly fence: number
  /** The tags that its result will carry. */
  readonly tags: readonly string[] | undefined
  readonly #timeout: number
  readonly #abort = new AbortController()
  /** Whether the process lives while a caller waits. */
  #keepsAlive: boolean
  #alive: NodeJS.Timeout | undefined
  readonly #result: Promise<T>
  // Set by the promise's executor, which runs at once.
  #resolve!: (value: T) => void
  #reject!: (reason: unknown) => void
  #timer: NodeJS.Timeout | undefined
  #waiting = 0

  /**
   * @param timeout Ms that the load may take.
   * @param keepsAlive Whether the process lives while a caller waits and the load has not begun: what it
   * waits for is then in another thread.
   */
  constructor(fence: number, tags: readonly string[] | undefined, timeout: number, keepsAlive: boolean) {
    this.fence = fence
    this.tags = tags
    this.#timeout = timeout
    this.#keepsAlive = keepsAlive
    this.#result = new Promise<T>((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    // Those who wait get the error; without them nobody would handle it.
    this.#result.catch(() => {})
  }

  /** Begins `work`. However it ends, `onEnd` is called once, before anyone who waits goes on. */
  start(work: (control: FlightControl) => Promise<T>, onEnd: (error: unknown) => void): void {
    const { signal } = this.#abort
    const aborted = new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason), { once: true })
    })
    const startLoad = () => {
      this.#keepsAlive = false
      this.#letGo()
      this.#timer = startTimer(this.#timeout, () => this.#abort.abort(timedOut(this.#timeout)))
    }
    // The work may ask for its own result before it is begun, so the promise of that is there already.
    Promise.race([work({ signal, startLoad }), aborted]).then(
      (value) => {
        clearTimeout(this.#timer)
        onEnd(undefined)
        this.#resolve(value)
      },
      (error) => {
        clearTimeout(this.#timer)
        onEnd(error)
        this.#reject(error)
      },
    )
  }

  #letGo(): void {
    clearTimeout(this.#alive)
    this.#alive = undefined
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
    if (this.#keepsAlive) this.#alive ??= setTimeout(() => {}, MAX_DELAY)
    try {
      return await unlessEnded(this.#result, signal, timeout)
    } finally {
      this.#waiting--
      if (this.#waiting === 0) this.#letGo()
      if (this.#waiting === 0 && signal?.aborted) this.#abort.abort(signal.reason)
    }
  }
}

function timedOut(timeout: number): CacheError {
  const message = `the load did not settle within ${Math.ceil(timeout)} ms`
  return new CacheError('ERR_CACHE_LOAD_TIMEOUT', message)
}

/** The longest delay that timers take; a longer one would fire at once. */
const MAX_DELAY = 2 ** 31 - 1

function startTimer(ms: number, body: () => void): NodeJS.Timeout | undefined {
  return ms > MAX_DELAY ? undefined : setTimeout(body, ms).unref()
}

/** `promise`, or the reason of `signal`, or a time-out, whichever is first; nothing is left behind by it. */
function unlessEnded<T>(promise: Promise<T>, signal: AbortSignal | undefined, timeout: number): Promise<T> {
  if (signal === undefined && timeout === Infinity) return promise
  return new Promise<T>((resolve, reject) => {
    const settle = (finish: () => void) => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', onAbort)
      finish()
    }
    const onAbort = () => settle(() => reject(signal?.reason))
    const timer = startTimer(timeout, () => settle(() => reject(timedOut(timeout))))
    signal?.addEventListener('abort', onAbort, { once: true })
    promise.then(
      (value) => settle(() => resolve(value)),
      (error) => settle(() => reject(error)),
    )
    // It may have been aborted while the work began.
    if (signal?.aborted) onAbort()
  })
}
