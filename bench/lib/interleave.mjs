// How candidates are compared: on a machine that others use too, times minutes apart cannot be. Candidates
// take turns within each round, in an order drawn anew, and are compared round by round.

import { scaled } from './quick.mjs'
import { seeded, shuffle } from './random.mjs'

/**
 * A way of doing something.
 *
 * @typedef {object} Candidate
 * @property {string} name
 * @property {number} ops Operations in one batch.
 * @property {(ops: number) => number | Promise<number>} run Does that many operations and returns a number
 *   that depends on the result of each, so that none can be optimized away.
 * @property {() => void} [prepare] Called before each batch; its time does not count.
 */

/**
 * The middle of many figures and the half of them that is nearest to it.
 *
 * @typedef {object} Spread
 * @property {number} median
 * @property {number} p25
 * @property {number} p75
 */

/**
 * What a candidate took, in ns per operation, over the rounds.
 *
 * @typedef {object} Timing
 * @property {string} name
 * @property {number} median
 * @property {number} p25
 * @property {number} p75
 * @property {Spread} ratio What it took relative to the baseline in the same round.
 * @property {number[]} times Round by round.
 * @property {number} sum The sum of what `run` returned, warm-up included.
 * @property {number} ops The operations done, warm-up included.
 */

/**
 * Times batches of operations.
 *
 * @param {readonly Candidate[]} candidates
 * @param {object} options
 * @param {string} options.baseline The name of the candidate that the others are compared with.
 * @param {number} [options.rounds]
 * @param {number} [options.warmup] Rounds before the first that counts.
 * @returns {Promise<Timing[]>} In the order of `candidates`.
 */
export async function interleave(candidates, { baseline, rounds = scaled(60, 3), warmup = scaled(10, 1) }) {
  const lanes = candidates.map((candidate) => ({
    ...candidate,
    times: /** @type {number[]} */ ([]),
    sum: 0,
  }))
  const base = lanes.find(({ name }) => name === baseline)
  if (base === undefined) throw new Error(`there is no candidate named ${baseline}`)
  const random = seeded(1)
  const order = [...lanes]
  for (let round = -warmup; round < rounds; round++) {
    for (const lane of shuffle(order, random)) {
      lane.prepare?.()
      const start = process.hrtime.bigint()
      const result = lane.run(lane.ops)
      // Awaiting what is no promise would add a turn of the microtask queue to a synchronous batch.
      const sum = typeof result === 'number' ? result : await result
      const end = process.hrtime.bigint()
      lane.sum += sum
      if (round >= 0) lane.times.push(Number(end - start) / lane.ops)
    }
  }
  return lanes.map((lane) => ({
    name: lane.name,
    ...spread(lane.times),
    ratio: ratios(lane.times, base.times),
    times: lane.times,
    sum: lane.sum,
    ops: lane.ops * (rounds + warmup),
  }))
}

/**
 * @param {ArrayLike<number>} figures
 * @returns {Spread}
 */
export function spread(figures) {
  const sorted = Float64Array.from(figures).sort()
  return { median: quantile(sorted, 0.5), p25: quantile(sorted, 0.25), p75: quantile(sorted, 0.75) }
}

/**
 * What `figures` are relative to `base`, round by round.
 *
 * @param {readonly number[]} figures
 * @param {readonly number[]} base
 */
export function ratios(figures, base) {
  return spread(figures.map((figure, round) => figure / /** @type {number} */ (base[round])))
}

/**
 * What `figures` are above `base`, round by round.
 *
 * @param {readonly number[]} figures
 * @param {readonly number[]} base
 */
export function differences(figures, base) {
  return spread(figures.map((figure, round) => figure - /** @type {number} */ (base[round])))
}

/**
 * The value below which `part` of the values lie, interpolated between the two nearest.
 *
 * @param {Float64Array} sorted
 * @param {number} part
 */
export function quantile(sorted, part) {
  const place = part * (sorted.length - 1)
  const below = /** @type {number} */ (sorted[Math.floor(place)])
  const above = /** @type {number} */ (sorted[Math.ceil(place)])
  return below + (above - below) * (place - Math.floor(place))
}
