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
 * {@link hits} of a store that answers with promises, one at a time.
 *
 * @param {Store} store
 * @param {readonly string[]} keys
 * @returns {(ops: number) => Promise<number>}
 */
export function hitsAwaited(store, keys) {
  const mask = keys.length - 1
  let at = 0
  return async (ops) => {
    let sum = 0
    for (let op = 0; op < ops; op++) {
      sum += weight(/** @type {Decision} */ (await store.get(/** @type {string} */ (keys[at++ & mask]))))
    }
    return sum
  }
}

/**
 * {@link misses} of a store that answers with promises, one at a time.
 *
 * @param {Store} store
 * @param {readonly string[]} keys
 * @returns {(ops: number) => Promise<number>}
 */
export function missesAwaited(store, keys) {
  const mask = keys.length - 1
  let at = 0
  return async (ops) => {
    let sum = 0
    for (let op = 0; op < ops; op++) {
      if ((await store.get(/** @type {string} */ (keys[at++ & mask]))) === undefined) sum++
    }
    return sum
  }
}

/**
 * {@link sets} of a store that answers with promises, one at a time.
 *
 * @param {Store} store
 * @param {readonly string[]} keys
 * @param {readonly Decision[]} values
 * @returns {(ops: number) => Promise<number>}
 */
export function setsAwaited(store, keys, values) {
  const keyMask = keys.length - 1
  const valueMask = values.length - 1
  let at = 0
  return async (ops) => {
    let sum = 0
    for (let op = 0; op < ops; op++) {
      const key = /** @type {string} */ (keys[at & keyMask])
      if (await store.set(key, /** @type {Decision} */ (values[at++ & valueMask]))) sum++
    }
    return sum
  }
}

/**
 * What a value adds to the sum of reads.
 *
 * @param {Decision} value
 */
export function weight(value) {
  return value.allowed ? value.policy : 1
}
