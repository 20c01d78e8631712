import type { NearMemory } from '../engine/capabilities.js'

// The words of the version table.

/** The number of the last invalidation. */
export const INVALIDATED = 0
/** The count of all changes. */
export const CHANGES = 8
/** The count of writes that made a cache fuller that was nearly full. */
export const PRESSURE = 9
/** By how much a count rises. */
export const STEP = Number.EPSILON

// What is kept of each copy, in the order of the report. The first half is looked at by checked reads, the second by
// none, so they lie apart.

/** Numbers in each half. */
export const HALF = 4
/** Where in `versions` the number of the key's group is. */
export const CELL = 0
/** That number, when the value was read. */
export const VERSION = 1
/** The number of the last invalidation, when the value was read. */
export const INVALIDATION = 2
/** The ms up to which the copy may be used. */
export const LIMIT = 3
/** In the place of the last but one, where the copy is outdated: 1 if the value after it was read. */
export const WAS_READ = INVALIDATION
/** In the second half: the number of the write that the value is of, */
export const WRITTEN = 0
/** the halves of the key's hash, */
export const HIGH = 1
export const LOW = 2
/** and the bytes that the entry is charged. */
export const SIZE = 3

/** What takes the place of the memory until it is lent: no copy can be looked at before. */
export const NOTHING: NearMemory = {
  versions: new Float64Array(PRESSURE + 1),
  time: new Float64Array(1),
  report: new Float64Array(2 * HALF),
  margin: 0,
}
/** No number of a write. */
export const NONE = -1
