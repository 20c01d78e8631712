import { BUCKETS, cumulate } from '../common/latency.js'
import type { DurationMetric } from './samples.js'

/** What a histogram tells. */
export interface Buckets {
  /** How many durations were shorter than each bound of the metric, and then than `+Inf`: all of them. */
  readonly counts: readonly number[]
  /** In s. */
  readonly sum: number
}

/** The bounds of a metric in s: they are ends of the buckets that are counted, so that nothing is estimated. */
export function boundsOf({ powers }: DurationMetric): string[] {
  return [...powers.map((power) => String(2 ** power / 1e9)), '+Inf']
}

/** What `histogram` tells in the bounds of its metric; `undefined` before the first duration. */
export function bucketsOf({ powers }: DurationMetric, histogram: Float64Array): Buckets | undefined {
  const counts = cumulate(histogram, powers)
  return counts.at(-1) === 0 ? undefined : { counts, sum: (histogram[BUCKETS] as number) / 1e3 }
}
