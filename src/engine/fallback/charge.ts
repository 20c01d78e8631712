import { ENTRY_OVERHEAD } from '../limits.js'
import type { Stored } from '../stored.js'

/** Tags from which on the native engine writes their number into a word of its own. */
const MORE_TAGS = 15

const WIDE = /[^\0-\xff]/

/** The bytes of text or bytes as the native engine stores them: of text one a unit, or two if any unit needs two. */
export function sizeOf(stored: Stored): number {
  if (typeof stored !== 'string') return stored.byteLength
  return WIDE.test(stored) ? stored.length * 2 : stored.length
}

/**
 * The bytes charged for an entry, the same as in the native engine.
 *
 * @param words The words of four bytes for its namespace.
 */
export function chargeOf(key: string, value: Stored, tags: number, hasGrace: boolean, words: number): number {
  const more = Math.max(tags >= MORE_TAGS ? 1 : 0, words)
  const all = more + (tags > 0 ? tags + 1 : 0) + (hasGrace ? 1 : 0)
  return sizeOf(key) + sizeOf(value) + 4 * all + ENTRY_OVERHEAD
}
