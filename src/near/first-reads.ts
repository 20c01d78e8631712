/** Values that are remembered, a power of two. */
const PLACES = 4_096

/**
 * Which values were read once, so that a copy is kept of what is read again and not of what is not: a table of the
 * numbers of their writes, each in the place that its key's hash says, where a later one takes it.
 */
export class FirstReads {
  #writes = new Float64Array(0)

  /**
   * Whether the value of a write was read before; from now on it was.
   *
   * @param written The number of the write, which is that of no other value.
   * @param hash Bits of the key's hash.
   */
  isSecond(written: number, hash: number): boolean {
    if (this.#writes.length === 0) this.#writes = new Float64Array(PLACES)
    const place = hash & (PLACES - 1)
    if (this.#writes[place] === written) return true
    this.#writes[place] = written
    return false
  }
}
