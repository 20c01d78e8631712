/**
 * A seeded generator of numbers in [0, 1): mulberry32 (T. Ettinger).
 *
 * @param {number} seed
 * @returns {() => number}
 */
export function seeded(seed) {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/**
 * Brings `items` into a random order, in place (Fisher and Yates).
 *
 * @template T
 * @param {T[]} items
 * @param {() => number} random
 * @returns {T[]}
 */
export function shuffle(items, random) {
  for (let last = items.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1))
    const item = /** @type {T} */ (items[last])
    items[last] = /** @type {T} */ (items[other])
    items[other] = item
  }
  return items
}

/**
 * `length` picks out of the numbers below `count`; the one of rank r is picked with a weight of
 * 1 / r ** exponent. Ranks are dealt at random, so that neighbours are not equally popular.
 *
 * @param {number} count
 * @param {number} length
 * @param {number} exponent
 * @param {() => number} random
 * @returns {Uint32Array}
 */
export function zipf(count, length, exponent, random) {
  const cumulative = new Float64Array(count)
  let total = 0
  for (let rank = 0; rank < count; rank++) {
    total += 1 / (rank + 1) ** exponent
    cumulative[rank] = total
  }
  const byRank = shuffle([...Array(count).keys()], random)
  return Uint32Array.from({ length }, () => {
    const point = random() * total
    let low = 0
    let high = count - 1
    while (low < high) {
      const middle = (low + high) >> 1
      if (/** @type {number} */ (cumulative[middle]) > point) high = middle
      else low = middle + 1
    }
    return /** @type {number} */ (byRank[low])
  })
}
