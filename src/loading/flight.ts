import { holdProcess, startTimer } from '../common/timers.js'

/** Somebody who waits for a flight. */
export interface Waiter<T> {
  /** Asked just before a result is stored: whether what this caller named, beside the flight itself, is unchanged. */
  check(isUnchanged: (tags: readonly string[]) => boolean): void
  /** Takes the result; `false` if it does not serve, and {@link Waiter.retry} is to be called. */
  accept(result: T): boolean
  /** Called when the flight is over and out of the way, for one that the result did not serve. */
  retry(): void
  fail(error: unknown): void
}

/** How work failed. */
export interface Failure {
  readonly error: unknown
  /** Whether anybody waits for it. */
  readonly wasAwaited: boolean
}

/** Work under way that several callers wait for. It ends by being told to, at once for all of them. */
export class Flight<T> {
  /** The fence taken before the work began. */
  readonly fence: number
  /** When that was, by the clock of the second tier; 0 where there is none. */
  readonly began: number
  /** The tags that its result will carry. */
  readonly tags: readonly string[] | undefined
  /** Made when it is asked for. */
  #controller: AbortController | undefined
  readonly #onEnd: (failure: Failure | undefined) => void
  /** Whether the process lives while a caller waits. */
  #keepsAlive: boolean
  #alive: NodeJS.Timeout | undefined
  #timer: NodeJS.Timeout | undefined
  readonly #waiting = new Set<Waiter<T>>()
  #isOver = false
  /** Why the work was given up, if it was. */
  #reason: { readonly reason: unknown } | undefined

  /**
   * @param keepsAlive Whether the process lives while a caller waits and the load has not begun: what it
   * waits for is then in another thread.
   * @param onEnd Called once, however the work ends.
   */
  constructor(
    fence: number,
    began: number,
    tags: readonly string[] | undefined,
    keepsAlive: boolean,
    onEnd: (failure: Failure | undefined) => void,
  ) {
    this.fence = fence
    this.began = began
    this.tags = tags
    this.#keepsAlive = keepsAlive
    this.#onEnd = onEnd
  }

  /** Aborted when the work was given up. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      if (this.#reason !== undefined) this.#controller.abort(this.#reason.reason)
    }
    return this.#controller.signal
  }

  /** Whether somebody waits for it. */
  get isAwaited(): boolean {
    return this.#waiting.size > 0
  }

  /** Whether it has ended; a result that comes later is nobody's. */
  get isOver(): boolean {
    return this.#isOver
  }

  /**
   * Tells that the load itself begins: from now on it counts against the ms that it may take, and what it waits for
   * keeps the process alive or not.
   */
  startLoad(timeout: number, timedOut: () => Error): void {
    this.#keepsAlive = false
    this.#letGo()
    this.#timer = startTimer(timeout, () => this.abort(timedOut()))
  }

  #letGo(): void {
    clearTimeout(this.#alive)
    this.#alive = undefined
  }

  /** Whether the work was given up. */
  get isAborted(): boolean {
    return this.#reason !== undefined
  }

  join(waiter: Waiter<T>): void {
    this.#waiting.add(waiter)
    if (this.#keepsAlive) this.#alive ??= holdProcess()
  }

  /** A caller goes alone. The work is given up with the last one that was aborted, and goes on after a time-out. */
  leave(waiter: Waiter<T>, abortedBy: unknown): void {
    if (!this.#waiting.delete(waiter) || this.#waiting.size > 0) return
    this.#letGo()
    if (abortedBy !== undefined) this.abort(abortedBy)
  }

  /** Ends the work before it has a result. */
  abort(reason: unknown): void {
    if (this.#isOver) return
    this.#reason = { reason }
    this.#controller?.abort(reason)
    this.fail(reason)
  }

  #end(): Waiter<T>[] {
    this.#isOver = true
    clearTimeout(this.#timer)
    this.#letGo()
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    return waiting
  }

  /** Has all who wait say whether what they named is unchanged. */
  check(isUnchanged: (tags: readonly string[]) => boolean): void {
    for (const waiter of this.#waiting) waiter.check(isUnchanged)
  }

  /** Gives the result to all who wait, before anything else can happen in this thread. */
  resolve(result: T): void {
    if (this.#isOver) return
    const rest = this.#end().filter((waiter) => !waiter.accept(result))
    this.#onEnd(undefined)
    for (const waiter of rest) waiter.retry()
  }

  /** Ends it without a result, where nobody waits. */
  end(): void {
    if (this.#isOver || this.isAwaited) return
    this.#end()
    this.#onEnd(undefined)
  }

  fail(error: unknown): void {
    if (this.#isOver) return
    const waiting = this.#end()
    this.#onEnd({ error, wasAwaited: waiting.length > 0 })
    for (const waiter of waiting) waiter.fail(error)
  }
}
