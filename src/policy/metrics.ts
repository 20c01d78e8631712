import { startTimer } from '../common/timers.js'
import type { SharedCounters } from '../engine/capabilities.js'
import { BUCKETS, bucketOf, type Latency, latencyOf } from './latency.js'

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
  'hits',
  'misses',
  'stale',
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

/** Of so many reads one is timed: to look at the clock twice takes longer than many a read. */
const SAMPLED = 64

const TIMERS = ['get', 'set', 'evaluation'] as const

/** How many numbers the metrics of a policy cache take. */
export const METRICS_SIZE = COUNTERS.length + TIMERS.length * BUCKETS

/** Ms after which what a thread counted is there for all. */
const FLUSH_AFTER = 100

/** Counts for one thread, and adds them to what all threads counted, a few times a second. */
export class MetricsRecorder {
  readonly #shared: SharedCounters
  readonly #own = new Float64Array(METRICS_SIZE)
  #timer: NodeJS.Timeout | undefined
  #reads = 0

  constructor(shared: SharedCounters) {
    this.#shared = shared
  }

  count(counter: (typeof COUNTERS)[number]): void {
    this.#add(PLACES[counter])
  }

  /** When a read begins, if it is one of those that are timed; else `undefined`. */
  startRead(): number | undefined {
    return this.#reads++ % SAMPLED === 0 ? performance.now() : undefined
  }

  /** Counts a read, and what it took if its start is known. */
  countRead(isHit: boolean, startMs: number | undefined): void {
    this.#add(isHit ? PLACES.hits : PLACES.misses)
    if (startMs !== undefined) this.record('get', startMs)
  }

  record(timer: (typeof TIMERS)[number], startMs: number): void {
    const bucket = bucketOf(performance.now() - startMs)
    this.#add(COUNTERS.length + TIMERS.indexOf(timer) * BUCKETS + bucket)
  }

  #add(place: number): void {
    ;(this.#own[place] as number)++
    if (this.#timer === undefined) this.#timer = startTimer(FLUSH_AFTER, () => this.flushIfOpen())
  }

  /** Adds what was counted here to what all see. */
  flush(): void {
    if (this.#timer === undefined) return
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#shared.add(this.#own)
    this.#own.fill(0)
  }

  read(): PolicyMetrics {
    this.flush()
    const all = this.#shared.read()
    const counts = Object.fromEntries(COUNTERS.map((counter, at) => [counter, all[at] as number])) as Record<
      (typeof COUNTERS)[number],
      number
    >
    const latency = (timer: (typeof TIMERS)[number]) => {
      const start = COUNTERS.length + TIMERS.indexOf(timer) * BUCKETS
      return latencyOf(all.subarray(start, start + BUCKETS))
    }
    const { hits, misses, stale } = counts
    return {
      ...counts,
      hitRate: hits + misses === 0 ? 0 : (hits + stale) / (hits + misses),
      getLatency: latency('get'),
      setLatency: latency('set'),
      evaluationLatency: latency('evaluation'),
    }
  }

  /** As {@link MetricsRecorder.flush}, also where the cache may be closed. */
  flushIfOpen(): void {
    try {
      this.flush()
    } catch {
      // It was closed before.
    }
  }

  reset(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#own.fill(0)
    this.#shared.reset()
  }
}
