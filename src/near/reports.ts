import type { MemorySource } from '../engine/capabilities.js'

/** Numbers by which an entry is reported: the halves of its key's hash, and its write. */
const NUMBERS = 3
/** Entries of one call of `reportReads`. */
const BATCH = 512

/** Reads on their way to the engine, the oldest first, and how many reads there were in all. */
export class ReadReport {
  readonly #source: MemorySource
  readonly #entries: Float64Array
  #hits: number
  #count = 0

  constructor(source: MemorySource, most: number, hits: number) {
    this.#source = source
    this.#entries = new Float64Array(NUMBERS * Math.min(BATCH, most))
    this.#hits = hits
  }

  add(high: number, low: number, written: number): void {
    const at = NUMBERS * this.#count++
    this.#entries[at] = high
    this.#entries[at + 1] = low
    this.#entries[at + 2] = written
    if (this.#count === BATCH) this.#send()
  }

  end(): void {
    if (this.#count > 0 || this.#hits > 0) this.#send()
  }

  #send(): void {
    this.#source.reportReads(this.#entries, this.#count, this.#hits)
    this.#count = 0
    this.#hits = 0
  }
}
