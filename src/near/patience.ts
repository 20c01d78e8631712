/** The least and the most reads that are waited for. */
const LEAST = 16
const MOST = 2 ** 20
/** Reads for each copy that was sure that make it worth having been made so. */
const WORTH = 4

/**
 * For how many reads in a row nothing must change before copies are taken for sure: the longer, the less it was worth
 * the last times.
 */
export class Patience {
  #needed = 0
  #calm = 0

  /** Whether enough reads came since the last change, one more of which has. */
  isEnough(): boolean {
    return ++this.#calm > this.#needed
  }

  /** Something changed, and nothing was sure. */
  disturb(): void {
    this.#calm = 0
  }

  /** What was sure is not any more, after so many reads of so many copies. */
  settle(reads: number, copies: number): void {
    this.#calm = 0
    const wasWorth = reads >= WORTH * copies
    this.#needed = wasWorth ? this.#needed >> 1 : Math.min(MOST, Math.max(LEAST, 2 * this.#needed))
  }
}
