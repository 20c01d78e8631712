import type { DecisionTotals, Inspectable, InspectedStats } from '../cache/registry.js'
import type { TierTotals } from '../cache/tier-counts.js'
import type { LoadTotals } from '../loading/recorder.js'

/** What is known of one cache at one moment. */
export interface CacheSnapshot extends Pick<Inspectable, 'kind' | 'engine' | 'settings'> {
  readonly name: string
  readonly stats: InspectedStats
  /** Reads answered by the engine: what decoded values answered is `stats.nearHits`. */
  readonly engineHits: number
  readonly loads: LoadTotals
  readonly decisions: DecisionTotals | undefined
  readonly tier: TierTotals | undefined
}

/** The labels of a sample, beside those of its cache. */
export type Labels = Readonly<Record<string, string>>

/** A number with the labels that it has beside those of its cache: always the same object for the same labels. */
export type Sample = readonly [labels: Labels, value: number]

interface Common {
  /** The name in Prometheus. */
  readonly name: string
  /** The name in OpenTelemetry. */
  readonly instrument: string
  /** As OpenTelemetry writes units. */
  readonly unit: string
  readonly help: string
  /** The labels beside `cache` and `kind`, each with all the values that it has. */
  readonly labels: Readonly<Record<string, readonly string[]>>
}

/** A metric of numbers. */
export interface NumberMetric extends Common {
  readonly type: 'counter' | 'gauge'
  read(cache: CacheSnapshot): Sample[]
}

/** A metric of durations. */
export interface DurationMetric extends Common {
  readonly type: 'histogram'
  /** The powers of two of ns that are bounds of buckets, ascending. */
  readonly powers: readonly number[]
  /** The numbers of a histogram, as in `common/latency`; `undefined` where there is none. */
  read(cache: CacheSnapshot): Float64Array | undefined
}

export type Metric = NumberMetric | DurationMetric

const NONE: Labels = Object.freeze({})

/** The samples of a metric with one label, by its values. */
export function by<L extends string>(
  label: string,
  values: readonly L[],
  read: (cache: CacheSnapshot) => Record<L, number>,
): Pick<NumberMetric, 'labels' | 'read'> {
  const labels = values.map((value) => [value, { [label]: value }] as const)
  return {
    labels: { [label]: values },
    read(cache) {
      const numbers = read(cache)
      return labels.map(([value, each]) => [each, numbers[value]])
    },
  }
}

/** The one sample of a metric without labels; none where there is no number. */
export function one(
  read: (cache: CacheSnapshot) => number | undefined,
): Pick<NumberMetric, 'labels' | 'read'> {
  return {
    labels: {},
    read(cache) {
      const value = read(cache)
      return value === undefined ? [] : [[NONE, value]]
    },
  }
}
