/** Percentiles of a duration, in ms, each exact to 7 %; all 0 while there is no sample. */
export interface Latency {
  samples: number
  p50: number
  p95: number
  p99: number
  max: number
}

/** Buckets between a power of two and the next. */
const STEPS = 16
/** Powers of two of ns, up to 18 minutes. */
const POWERS = 40

/** How many buckets a histogram has. */
export const BUCKETS = STEPS * POWERS

/** How many numbers a histogram takes: one for each bucket, then the sum of all durations in ms. */
export const HISTOGRAM_SIZE = BUCKETS + 1

/** The bucket of a duration: log-linear, as in HdrHistogram (G. Tene). */
export function bucketOf(ms: number): number {
  const ns = Math.max(1, ms * 1e6)
  const power = Math.min(POWERS - 1, Math.floor(Math.log2(ns)))
  const step = Math.min(STEPS - 1, Math.floor((ns / 2 ** power - 1) * STEPS))
  return power * STEPS + step
}

/** The upper end of a bucket, in ms. */
function upperEnd(bucket: number): number {
  const power = Math.floor(bucket / STEPS)
  return (2 ** power * (1 + ((bucket % STEPS) + 1) / STEPS)) / 1e6
}

/** What counts at places of an array. */
interface Counts {
  add(place: number, by: number): void
}

/**
 * Counts a duration in the histogram that begins at a place of `counts`. The sum never falls, though clocks of tests may be
 * set back.
 */
export function record(counts: Counts, place: number, ms: number): void {
  counts.add(place + bucketOf(ms), 1)
  counts.add(place + BUCKETS, Math.max(0, ms))
}

/**
 * How many durations of `counts` were shorter than `2 ** power` ns, where a bucket ends, for each of the powers, which
 * ascend; then how many there were in all.
 */
export function cumulate(counts: Float64Array, powers: readonly number[]): number[] {
  let count = 0
  let bucket = 0
  return [...powers, POWERS].map((power) => {
    for (; bucket < power * STEPS; bucket++) count += counts[bucket] as number
    return count
  })
}

/** The percentiles of `counts`, a number for each bucket. */
export function latencyOf(counts: Float64Array): Latency {
  let samples = 0
  let last = 0
  for (let bucket = 0; bucket < BUCKETS; bucket++) {
    const count = counts[bucket] as number
    samples += count
    if (count > 0) last = bucket
  }
  const at = (part: number) => {
    let seen = 0
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      seen += counts[bucket] as number
      if (seen > 0 && seen >= part * samples) return upperEnd(bucket)
    }
    return 0
  }
  return { samples, p50: at(0.5), p95: at(0.95), p99: at(0.99), max: samples === 0 ? 0 : upperEnd(last) }
}
