import { startTimer } from '../common/timers.js'
import type { SharedCounters } from './capabilities.js'

/** Ms after which what a thread counted is there for all. */
const FLUSH_AFTER = 100

/** Counts for one thread, and adds it to what all threads counted, a few times a second. */
export class CounterBatch {
  readonly #shared: SharedCounters
  readonly #own: Float64Array
  #timer: NodeJS.Timeout | undefined

  /** @param size How many counters `shared` has. */
  constructor(shared: SharedCounters, size: number) {
    this.#shared = shared
    this.#own = new Float64Array(size)
  }

  count(place: number): void {
    ;(this.#own[place] as number)++
    if (this.#timer === undefined) this.#start()
  }

  add(place: number, by: number): void {
    ;(this.#own[place] as number) += by
    if (this.#timer === undefined) this.#start()
  }

  #start(): void {
    this.#timer = startTimer(FLUSH_AFTER, () => this.flushIfOpen())
  }

  /** Adds what was counted here to what all see. */
  flush(): void {
    if (this.#timer === undefined) return
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#shared.add(this.#own)
    this.#own.fill(0)
  }

  /** As {@link CounterBatch.flush}, also where the cache may be closed. */
  flushIfOpen(): void {
    try {
      this.flush()
    } catch {
      // It was closed before.
    }
  }

  /** What all threads counted, as a copy. */
  read(): Float64Array {
    this.flush()
    return this.#shared.read()
  }

  reset(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#own.fill(0)
    this.#shared.reset()
  }
}
