// How candidates are compared: on a machine that others use too, times minutes apart cannot be. Candidates
// take turns within each round, in an order drawn anew, and are compared round by round.

/** Whether this is a trial: `SARK_BENCH_QUICK=1`, as `--quick` of run.mjs sets it. Its figures mean nothing. */
export const isQuick = process.env.SARK_BENCH_QUICK === '1'

/**
 * A size, a count or a time, or what a trial takes instead.
 *
 * @param {number} full
 * @param {number} trial
 */
export const scaled = (full, trial) => (isQuick ? trial : full)

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
