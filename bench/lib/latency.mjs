// How long single operations take, beside each other: as interleave.mjs does it, but with every operation
// timed and not only their sum.

import { quantile, ratios } from './interleave.mjs'
import { scaled } from './quick.mjs'
import { seeded, shuffle } from './random.mjs'

/**
 * @typedef {object} Lane
 * @property {string} name
 * @property {number} samples In one round.
 * @property {number} ops Operations in one sample.
 * @property {(times: Float64Array) => number | Promise<number>} sample Fills in what each sample took in µs per
 *   operation, and returns a number that depends on the result of each.
 */

/**
 * @typedef {object} Latency
 * @property {string} name
 * @property {number} samples
 * @property {number} p50 µs, as all of these.
 * @property {number} p95
 * @property {number} p99
 * @property {number} each From start to end, by the number of operations.
 * @property {{ p50: number[], p95: number[] }} rounds
 * @property {number} sum The sum of what `sample` returned, warm-up included.
 * @property {number} ops The operations done, warm-up included.
 */

/**
 * @param {readonly Lane[]} candidates
 * @param {object} [options]
 * @param {number} [options.rounds]
 * @param {number} [options.warmup] Rounds before the first that counts.
 * @returns {Promise<Latency[]>} In the order of `candidates`.
 */
export async function latencies(candidates, { rounds = scaled(100, 4), warmup = scaled(15, 2) } = {}) {
  const lanes = candidates.map((candidate) => ({
    ...candidate,
    all: new Float64Array(candidate.samples * rounds),
    times: new Float64Array(candidate.samples),
    rounds: { p50: /** @type {number[]} */ ([]), p95: /** @type {number[]} */ ([]) },
    elapsed: 0,
    sum: 0,
  }))
  const random = seeded(1)
  const order = [...lanes]
  for (let round = -warmup; round < rounds; round++) {
    for (const lane of shuffle(order, random)) {
      const start = performance.now()
      const result = lane.sample(lane.times)
      lane.sum += typeof result === 'number' ? result : await result
      const elapsed = performance.now() - start
      if (round < 0) continue
      lane.elapsed += elapsed
      lane.all.set(lane.times, round * lane.samples)
      lane.times.sort()
      lane.rounds.p50.push(quantile(lane.times, 0.5))
      lane.rounds.p95.push(quantile(lane.times, 0.95))
    }
  }
  return lanes.map(({ name, samples, ops, all, rounds: byRound, elapsed, sum }) => {
    const sorted = all.sort()
    return {
      name,
      samples: sorted.length,
      p50: quantile(sorted, 0.5),
      p95: quantile(sorted, 0.95),
      p99: quantile(sorted, 0.99),
      each: (elapsed * 1000) / (rounds * samples * ops),
      rounds: byRound,
      sum,
      ops: samples * ops * (rounds + warmup),
    }
  })
}

/**
 * How many times what `base` takes `of` takes, round by round.
 *
 * @param {Latency} of
 * @param {Latency} base
 */
export const times = (of, base) => ({
  p50: ratios(of.rounds.p50, base.rounds.p50),
  p95: ratios(of.rounds.p95, base.rounds.p95),
})
