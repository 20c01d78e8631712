import { HISTOGRAM_SIZE, type Latency, latencyOf, record } from '../common/latency.js'
import type { SharedCounters } from '../engine/capabilities.js'
import { CounterBatch } from '../engine/counter-batch.js'
import type { Decision } from './decision.js'

/**
 * What happened in a {@link PolicyCache} since it was opened or its metrics were reset, in all threads that have it
 * open. What another thread, or another object of this one, counted in the last tenth of a second may be missing, and
 * comes after a reset; of a thread that ends without closing its cache it is lost.
 */
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
  /** Evaluations that failed or timed out, but not those that their callers gave up; their error reached the caller and nothing was stored. */
  errors: number
  /** Decisions not stored because what they were made from changed meanwhile. */
  fenced: number
  /** Calls of `invalidate` and `invalidateTag`. */
  invalidations: number
  /** How long `get` and the cached answers of `decide` took: the first of them, and then one of 64. */
  getLatency: Latency
  /** How long `set` took. */
  setLatency: Latency
  /** How long evaluations took that came to an end. */
  evaluationLatency: Latency
}

const COUNTERS = [
  'hitsAllowed',
  'hitsDenied',
  'misses',
  'remoteAllowed',
  'remoteDenied',
  'staleAllowed',
  'staleDenied',
  'evaluatedAllowed',
  'evaluatedDenied',
  'refreshes',
  'sets',
  'evaluations',
  'errors',
  'fenced',
  'invalidations',
] as const

/** Where each of them is counted. */
const PLACES = Object.fromEntries(COUNTERS.map((counter, at) => [counter, at])) as Record<
  (typeof COUNTERS)[number],
  number
>

/** Those of reads, of which each counts one. */
const { hitsAllowed: HITS_ALLOWED, hitsDenied: HITS_DENIED, misses: MISSES } = PLACES

/** Of so many reads one is timed: to look at the clock twice takes longer than many a read. */
const SAMPLED = 64

const TIMERS = ['get', 'set', 'evaluation'] as const

/** How many numbers the metrics of a policy cache take. */
export const METRICS_SIZE = COUNTERS.length + TIMERS.length * HISTOGRAM_SIZE

/** What all threads counted of decisions, and how long they took. */
export type DecisionTotals = Record<(typeof COUNTERS)[number], number> &
  Record<(typeof TIMERS)[number], Float64Array>

/** Counts decisions, for all threads. */
export class MetricsRecorder {
  readonly #batch: CounterBatch
  #reads = 0

  constructor(shared: SharedCounters) {
    this.#batch = new CounterBatch(shared, METRICS_SIZE)
  }

  count(counter: (typeof COUNTERS)[number]): void {
    this.#batch.count(PLACES[counter])
  }

  /** Counts a decision that was served past its TTL. */
  countStale({ allowed }: Decision): void {
    this.#batch.count(allowed ? PLACES.staleAllowed : PLACES.staleDenied)
  }

  /** Counts a decision that another process had stored. */
  countRemote({ allowed }: Decision): void {
    this.#batch.count(allowed ? PLACES.remoteAllowed : PLACES.remoteDenied)
  }

  /** Counts what an evaluation came to. */
  countEvaluated({ allowed }: Decision): void {
    this.#batch.count(allowed ? PLACES.evaluatedAllowed : PLACES.evaluatedDenied)
  }

  /** When a read begins, if it is one of those that are timed; else `undefined`. */
  startRead(): number | undefined {
    return this.#reads++ % SAMPLED === 0 ? performance.now() : undefined
  }

  /** Counts a read by what it found, and what it took if its start is known. */
  countRead(found: Decision | undefined, startMs: number | undefined): void {
    if (found === undefined) this.#batch.count(MISSES)
    else this.#batch.count(found.allowed ? HITS_ALLOWED : HITS_DENIED)
    if (startMs !== undefined) this.record('get', startMs)
  }

  record(timer: (typeof TIMERS)[number], startMs: number): void {
    const place = COUNTERS.length + TIMERS.indexOf(timer) * HISTOGRAM_SIZE
    record(this.#batch, place, performance.now() - startMs)
  }

  /** What all threads counted. */
  totals(): DecisionTotals {
    const all = this.#batch.read()
    const histogram = (at: number) => {
      const start = COUNTERS.length + at * HISTOGRAM_SIZE
      return all.subarray(start, start + HISTOGRAM_SIZE)
    }
    return Object.fromEntries([
      ...COUNTERS.map((counter, at) => [counter, all[at]]),
      ...TIMERS.map((timer, at) => [timer, histogram(at)]),
    ])
  }

  read(): PolicyMetrics {
    const totals = this.totals()
    const { misses, refreshes, sets, evaluations, errors, fenced, invalidations } = totals
    const hits = totals.hitsAllowed + totals.hitsDenied
    const stale = totals.staleAllowed + totals.staleDenied
    return {
      hits,
      misses,
      hitRate: hits + misses === 0 ? 0 : (hits + stale) / (hits + misses),
      stale,
      refreshes,
      sets,
      evaluations,
      errors,
      fenced,
      invalidations,
      getLatency: latencyOf(totals.get),
      setLatency: latencyOf(totals.set),
      evaluationLatency: latencyOf(totals.evaluation),
    }
  }

  flushIfOpen(): void {
    this.#batch.flushIfOpen()
  }

  reset(): void {
    this.#batch.reset()
  }
}
