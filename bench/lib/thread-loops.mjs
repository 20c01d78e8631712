// The loops of worker threads. Each candidate imports a copy of its own, as in loops.mjs.

import { weight } from './loops.mjs'

/** @typedef {import('./workload.mjs').Decision} Decision */

/** Operations between two readings of the clock. */
const BLOCK = 256

/**
 * What is asked of a store, by the number of the key.
 *
 * @typedef {object} Traffic
 * @property {readonly string[]} keys
 * @property {readonly Decision[]} values Those of {@link keys}.
 * @property {Uint32Array} picks As many as a power of two: the keys that are asked for.
 * @property {Uint8Array} dice As many: an operation is a write if its die is below the percentage of writes.
 */

/**
 * @typedef {object} Mix
 * @property {string} name
 * @property {number} writes Percent of the operations.
 * @property {boolean} loads Whether a value that is missing is stored.
 */

/**
 * What was done in a time.
 *
 * @typedef {object} Work
 * @property {number} ops
 * @property {number} ms
 * @property {number} reads
 * @property {number} misses
 */

/**
 * Reads and writes for some ms. A value that is read and is not that of its key throws.
 *
 * @param {{ get: (key: string) => unknown, set: (key: string, value: Decision) => unknown }} store
 * @param {Traffic} traffic
 * @param {Mix} mix
 * @param {{ at: number }} cursor How far the picks were followed. All mixes of a store have it in common: what
 *   one has just asked for, the next must not ask for again.
 * @returns {(ms: number) => Promise<Work>}
 */
export function mixed(store, { keys, values, picks, dice }, { writes, loads }, cursor) {
  const mask = picks.length - 1
  const weights = Float64Array.from(values, weight)
  /** @param {Work} work */
  const block = (work) => {
    let { at } = cursor
    let [reads, misses, difference] = [0, 0, 0]
    /** @type {unknown} */
    let written
    for (let op = 0; op < BLOCK; op++, at++) {
      const id = /** @type {number} */ (picks[at & mask])
      const key = /** @type {string} */ (keys[id])
      if (/** @type {number} */ (dice[at & mask]) < writes) {
        written = store.set(key, /** @type {Decision} */ (values[id]))
        continue
      }
      reads++
      const value = store.get(key)
      if (value === undefined) {
        misses++
        if (loads) written = store.set(key, /** @type {Decision} */ (values[id]))
      } else {
        difference |= weight(/** @type {Decision} */ (value)) ^ /** @type {number} */ (weights[id])
      }
    }
    if (difference !== 0) throw new Error('a value of another key was read')
    cursor.at = at
    work.ops += BLOCK
    work.reads += reads
    work.misses += misses
    return written
  }
  return async (ms) => {
    const work = { ops: 0, ms: 0, reads: 0, misses: 0 }
    const start = performance.now()
    while (work.ms < ms) {
      const written = block(work)
      // What is written in the background must not run away.
      if (written instanceof Promise) await written
      work.ms = performance.now() - start
    }
    return work
  }
}
