import type { BreakerState } from '../cache/tier-health.js'

/** Failures in a row that open it. */
const IN_A_ROW = 5
/** Answers in a window of which half failed that open it, and the ms of the window. */
const LEAST = 20
const WINDOW = 10_000
/** Ms for which it stays open: at first, and at the most. */
const FIRST_WAIT = 500
const LAST_WAIT = 30_000

/** Keeps a thread from asking a server that does not answer, but for one question from time to time. */
export class Breaker {
  readonly #now: () => number
  readonly #onChange: (state: BreakerState) => void
  #state: BreakerState = 'closed'
  #inARow = 0
  #windowFrom = 0
  #asked = 0
  #failed = 0
  #opened = 0
  #until = 0

  constructor(now: () => number, onChange: (state: BreakerState) => void) {
    this.#now = now
    this.#onChange = onChange
  }

  get state(): BreakerState {
    return this.#state
  }

  /** Whether to ask. What is asked is to be told of by {@link Breaker.succeeded} or {@link Breaker.failed}. */
  allows(): boolean {
    if (this.#state === 'closed') return true
    if (this.#state === 'half-open' || this.#now() < this.#until) return false
    this.#become('half-open')
    return true
  }

  succeeded(): void {
    this.#inARow = 0
    this.#count(false)
    if (this.#state === 'closed') return
    this.#opened = 0
    this.#asked = 0
    this.#failed = 0
    this.#become('closed')
  }

  failed(): void {
    this.#inARow++
    this.#count(true)
    const isBad = this.#inARow >= IN_A_ROW || (this.#asked >= LEAST && this.#failed * 2 >= this.#asked)
    if (this.#state === 'half-open' || (this.#state === 'closed' && isBad)) this.#open()
  }

  #open(): void {
    const wait = Math.min(LAST_WAIT, FIRST_WAIT * 2 ** Math.min(this.#opened, 10))
    this.#opened++
    // Not all processes at the same moment.
    this.#until = this.#now() + wait * (0.5 + Math.random() / 2)
    this.#become('open')
  }

  #count(isFailure: boolean): void {
    const now = this.#now()
    if (now - this.#windowFrom >= WINDOW) {
      this.#windowFrom = now
      this.#asked = 0
      this.#failed = 0
    }
    this.#asked++
    if (isFailure) this.#failed++
  }

  #become(state: BreakerState): void {
    this.#state = state
    this.#onChange(state)
  }
}
