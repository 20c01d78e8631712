// The loops that are timed. Each candidate imports a copy of its own, under a query of its own: in a shared
// loop the call of the store would be megamorphic, and the cheap stores would pay for it most.

/**
 * @typedef {object} Store
 * @property {(key: string) => unknown} get
 * @property {(key: string, value: Decision) => unknown} set
 */

/** @typedef {import('./workload.mjs').Decision} Decision */

/**
 * Reads that find a value. The sum is that of {@link weight}; a miss throws.
 *
 * @param {Store} store
 * @param {readonly string[]} keys As many as a power of two, as in all loops here.
 * @returns {(ops: number) => number}
 */
export function hits(store, keys) {
  const mask = keys.length - 1
  let at = 0
  return (ops) => {
    let sum = 0
    for (let op = 0; op < ops; op++) {
      sum += weight(/** @type {Decision} */ (store.get(/** @type {string} */ (keys[at++ & mask]))))
    }
    return sum
  }
}

/**
 * Reads that find none. The sum is their number.
 *
 * @param {Store} store
 * @param {readonly string[]} keys
 * @returns {(ops: number) => number}
 */
export function misses(store, keys) {
  const mask = keys.length - 1
  let at = 0
  return (ops) => {
    let sum = 0
    for (let op = 0; op < ops; op++) {
      if (store.get(/** @type {string} */ (keys[at++ & mask])) === undefined) sum++
    }
    return sum
  }
}

/**
 * Writes of `values` in turn. The sum is the number of writes that returned something true.
 *
 * @param {Store} store
 * @param {readonly string[]} keys
 * @param {readonly Decision[]} values
 * @returns {(ops: number) => number}
 */
export function sets(store, keys, values) {
  const keyMask = keys.length - 1
  const valueMask = values.length - 1
  let at = 0
  return (ops) => {
    let sum = 0
    for (let op = 0; op < ops; op++) {
      const key = /** @type {string} */ (keys[at & keyMask])
      if (store.set(key, /** @type {Decision} */ (values[at++ & valueMask]))) sum++
    }
    return sum
  }
}

/**
 * Reads, and among them writes of values that are made anew; what is missing is stored. The sum is that of
 * {@link weight} of all that was read.
 *
 * @param {Store} store
 * @param {readonly string[]} keys
 * @param {readonly Decision[]} values Those of `keys`.
 * @param {Uint32Array} picks The keys that are asked for, by number; as many as a power of two.
 * @param {Uint8Array} isWrite As many: 1 for an operation that is a write.
 * @returns {(ops: number) => number}
 */
export function readsAndWrites(store, keys, values, picks, isWrite) {
  const mask = picks.length - 1
  let at = 0
  return (ops) => {
    let sum = 0
    for (let op = 0; op < ops; op++, at++) {
      const id = /** @type {number} */ (picks[at & mask])
      const key = /** @type {string} */ (keys[id])
      const found = isWrite[at & mask] === 1 ? undefined : store.get(key)
      const value = /** @type {Decision} */ (found ?? values[id])
      if (found === undefined) store.set(key, { ...value })
      sum += weight(value)
    }
    return sum
  }
}

/**
 * A write of each key, and then its first read. The sum is that of {@link weight}.
 *
 * @param {Store} store
 * @param {readonly string[]} keys As many as a power of two, as `values`.
 * @param {readonly Decision[]} values
 * @returns {(ops: number) => number}
 */
export function writesThenReads(store, keys, values) {
  const mask = keys.length - 1
  let at = 0
  return (ops) => {
    let sum = 0
    for (let op = 0; op < ops; op++, at++) {
      const key = /** @type {string} */ (keys[at & mask])
      store.set(key, { .../** @type {Decision} */ (values[at & mask]) })
      sum += weight(/** @type {Decision} */ (store.get(key)))
    }
    return sum
  }
}

/**
 * {@link hits} by keys that are put together at each call. The sum is that of {@link weight}.
 *
 * @param {Store} store
 * @param {readonly (readonly [string, string])[]} parts Of keys that are there, as many as a power of two.
 * @returns {(ops: number) => number}
 */
export function freshHits(store, parts) {
  const mask = parts.length - 1
  let at = 0
  return (ops) => {
    let sum = 0
    for (let op = 0; op < ops; op++) {
      const [first, rest] = /** @type {readonly [string, string]} */ (parts[at++ & mask])
      sum += weight(/** @type {Decision} */ (store.get(`${first}:${rest}`)))
    }
    return sum
  }
}

/**
 * Steps that are answered with promises, one at a time.
 *
 * @param {(at: number) => Promise<number>} step
 * @returns {(ops: number) => Promise<number>}
 */
function awaited(step) {
  let at = 0
  return async (ops) => {
    let sum = 0
    for (let op = 0; op < ops; op++) sum += await step(at++)
    return sum
  }
}

/**
 * @template T
 * @param {readonly T[]} items As many as a power of two.
 * @param {number} at
 */
const pick = (items, at) => /** @type {T} */ (items[at & (items.length - 1)])

/**
 * {@link hits} of a store that answers with promises.
 *
 * @param {Store} store
 * @param {readonly string[]} keys
 */
export const hitsAwaited = (store, keys) =>
  awaited(async (at) => weight(/** @type {Decision} */ (await store.get(pick(keys, at)))))

/**
 * {@link misses} of a store that answers with promises.
 *
 * @param {Store} store
 * @param {readonly string[]} keys
 */
export const missesAwaited = (store, keys) =>
  awaited(async (at) => ((await store.get(pick(keys, at))) === undefined ? 1 : 0))

/**
 * {@link sets} of a store that answers with promises.
 *
 * @param {Store} store
 * @param {readonly string[]} keys
 * @param {readonly Decision[]} values
 */
export const setsAwaited = (store, keys, values) =>
  awaited(async (at) => ((await store.set(pick(keys, at), pick(values, at))) ? 1 : 0))

/**
 * What a value adds to the sum of reads.
 *
 * @param {Decision} value
 */
export function weight(value) {
  return value.allowed ? value.policy : 1
}

// The loops that time operations singly. Each candidate imports a copy of its own, as in loops.mjs.

/**
 * Times `ops` operations at once.
 *
 * @param {(ops: number) => number} run
 * @param {number} ops
 * @returns {(times: Float64Array) => number}
 */
export const atOnce = (run, ops) => (times) => {
  let sum = 0
  for (let at = 0; at < times.length; at++) {
    const start = performance.now()
    sum += run(ops)
    times[at] = ((performance.now() - start) * 1000) / ops
  }
  return sum
}

/**
 * Times operations that are answered with promises, of which `inFlight` are under way at any time.
 *
 * @param {(ops: number) => Promise<number>} run
 * @param {number} inFlight
 * @returns {(times: Float64Array) => Promise<number>}
 */
export const underWay = (run, inFlight) => async (times) => {
  let next = 0
  const one = async () => {
    let sum = 0
    while (next < times.length) {
      const at = next++
      const start = performance.now()
      sum += await run(1)
      times[at] = (performance.now() - start) * 1000
    }
    return sum
  }
  const sums = await Promise.all(Array.from({ length: inFlight }, one))
  return sums.reduce((all, sum) => all + sum)
}

// The loops of worker threads. Each candidate imports a copy of its own, as in loops.mjs.

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
