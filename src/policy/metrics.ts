import { createHistogram, type RecordableHistogram } from 'node:perf_hooks'

/** Percentiles of a duration, in ms; all 0 while there is no sample. */
export interface Latency {
  samples: number
  p50: number
  p95: number
  p99: number
  max: number
}

/** What happened in a {@link PolicyCache} of this thread since it was made or its metrics were reset. */
export interface PolicyMetrics {
  /** Reads answered from the cache. */
  hits: number
  /** Reads that found nothing. */
  misses: number
  /**
   * The part of all reads that was answered from the cache, stale answers included; 0 before the first. A
   * stale answer counts as a miss and as stale.
   */
  hitRate: number
  /** Reads answered with a decision past its TTL, because the options allow it. */
  stale: number
  /** Evaluations of those that were begun behind the scenes, while a decision was served. */
  refreshes: number
  /** Decisions stored. */
  sets: number
  /** Evaluations that were begun. */
  evaluations: number
  /** Evaluations that failed or timed out; their error reached the caller and nothing was stored. */
  errors: number
  /** Decisions not stored because what they were made from changed meanwhile. */
  fenced: number
  /** Calls of `invalidate`. */
  invalidations: number
  /** How long `get` and the cached answers of `decide` took. */
  getLatency: Latency
  /** How long `set` took. */
  setLatency: Latency
  /** How long evaluations took that came to an end. */
  evaluationLatency: Latency
}

export const COUNTERS = [
  'hits',
  'misses',
  'stale',
  'sets',
  'evaluations',
  'errors',
  'fenced',
  'invalidations',
] as const

type Counter = (typeof COUNTERS)[number]

/** A histogram of ns, read in ms. */
class Timer {
  readonly #histogram: RecordableHistogram = createHistogram()

  record(startMs: number): void {
    this.#histogram.record(Math.max(1, Math.round((performance.now() - startMs) * 1e6)))
  }

  read(): Latency {
    const histogram = this.#histogram
    const samples = histogram.count
    const at = (percentile: number) => (samples === 0 ? 0 : histogram.percentile(percentile) / 1e6)
    return { samples, p50: at(50), p95: at(95), p99: at(99), max: samples === 0 ? 0 : histogram.max / 1e6 }
  }

  reset(): void {
    this.#histogram.reset()
  }
}

export class MetricsRecorder {
  readonly get = new Timer()
  readonly set = new Timer()
  readonly evaluation = new Timer()
  #counts = emptyCounts()

  count(counter: Counter): void {
    this.#counts[counter]++
  }

  read(): Omit<PolicyMetrics, 'refreshes'> {
    const { hits, misses, stale } = this.#counts
    return {
      ...this.#counts,
      hitRate: hits + misses === 0 ? 0 : (hits + stale) / (hits + misses),
      getLatency: this.get.read(),
      setLatency: this.set.read(),
      evaluationLatency: this.evaluation.read(),
    }
  }

  reset(): void {
    this.#counts = emptyCounts()
    this.get.reset()
    this.set.reset()
    this.evaluation.reset()
  }
}

function emptyCounts(): Record<Counter, number> {
  return Object.fromEntries(COUNTERS.map((counter) => [counter, 0])) as Record<Counter, number>
}
