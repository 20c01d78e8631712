/** Values that are remembered at first, a power of two. */
const FEWEST = 1_024
/** Values that are remembered at most, for each copy that may be kept. */
const MOST = 4

/**
 * Which values were read once, so that a copy is made of what is read again and not of what is not: a table of the
 * numbers of their writes, each in the place that its key's hash says, where a later one takes it. It grows as it is
 * overwritten.
 */
export class FirstReads {
  readonly #most: number
  /** The lower half of each number: where two have the same, a copy is made too early. */
  #writes = new Uint32Array(0)
  #overwritten = 0

  /** @param copies The most copies. */
  constructor(copies: number) {
    this.#most = Math.max(FEWEST, Math.min(MOST * copies, 2 ** 20))
  }

  /**
   * Whether the value of a write was read before; from now on it was.
   *
   * @param written The number of the write, which is that of no other value, and not 0.
   * @param hash Bits of the key's hash.
   */
  isSecond(written: number, hash: number): boolean {
    if (this.#writes.length === 0) this.#writes = new Uint32Array(FEWEST)
    const place = hash & (this.#writes.length - 1)
    const known = this.#writes[place] as number
    const now = written >>> 0
    if (known === now) return true
    this.#writes[place] = now
    if (known !== 0 && ++this.#overwritten > this.#writes.length && this.#writes.length < this.#most)
      this.#grow()
    return false
  }

  /** What was remembered stands in both places that it may now belong to. */
  #grow(): void {
    const writes = new Uint32Array(2 * this.#writes.length)
    writes.set(this.#writes)
    writes.set(this.#writes, this.#writes.length)
    this.#writes = writes
    this.#overwritten = 0
  }
}
