import type { DecisionTotals } from '../cache/registry.js'
import { by, type Labels, type Metric, one, type Sample } from './metric.js'
import { TIER_METRICS } from './tier-metrics.js'

export type { CacheSnapshot, DurationMetric, Labels, Metric, NumberMetric } from './metric.js'

/** 262 µs to 17 s. */
const LOADS = [18, 20, 22, 24, 26, 28, 30, 32, 34]
/** 256 ns to 1 ms. */
const READS = [8, 10, 12, 14, 16, 18, 20]

/** A bound, where there is one. */
function bound(limit: number): number | undefined {
  return limit === Infinity ? undefined : limit
}

const INFO = {
  rust: { lru: { engine: 'rust', policy: 'lru' }, s3fifo: { engine: 'rust', policy: 's3fifo' } },
  js: { lru: { engine: 'js', policy: 'lru' }, s3fifo: { engine: 'js', policy: 's3fifo' } },
} as const

const SOURCES = ['cache', 'remote', 'stale', 'evaluation'] as const
const OUTCOMES = ['allowed', 'denied', 'error'] as const

/** All metrics of caches: what exporters export, and what `docs/monitoring.md` lists. */
export const METRICS: readonly Metric[] = [
  {
    name: 'sark_cache_requests_total',
    instrument: 'sark_cache.requests',
    type: 'counter',
    unit: '{request}',
    help: 'Reads by result: hit, near and miss add up to all of them; the others say what became of misses.',
    ...by('result', ['hit', 'near', 'miss', 'stale', 'fenced', 'error'], ({ engineHits, stats, loads }) => ({
      hit: engineHits,
      near: stats.nearHits,
      miss: stats.misses,
      stale: loads.stale,
      fenced: stats.fenced,
      error: loads.failedCalls,
    })),
  },
  {
    name: 'sark_cache_loads_total',
    instrument: 'sark_cache.loads',
    type: 'counter',
    unit: '{load}',
    help: 'Loads begun.',
    ...one(({ loads }) => loads.loads),
  },
  {
    name: 'sark_cache_load_failures_total',
    instrument: 'sark_cache.load.failures',
    type: 'counter',
    unit: '{load}',
    help: 'Loads that failed, timed out or were given up.',
    ...one(({ loads }) => loads.loadErrors),
  },
  {
    name: 'sark_cache_load_duration_seconds',
    instrument: 'sark_cache.load.duration',
    type: 'histogram',
    unit: 's',
    help: 'How long the functions of loads, such as evaluate, took that came to an end, failed or not.',
    labels: {},
    powers: LOADS,
    read: ({ loads }) => loads.latency,
  },
  {
    name: 'sark_cache_loads_in_progress',
    instrument: 'sark_cache.loads.in_progress',
    type: 'gauge',
    unit: '{load}',
    help: 'Loads under way.',
    ...one(({ stats }) => stats.loading),
  },
  {
    name: 'sark_cache_coalesced_total',
    instrument: 'sark_cache.coalesced',
    type: 'counter',
    unit: '{request}',
    help: 'Callers that were answered by a load which another one began.',
    ...one(({ loads }) => loads.loadsShared),
  },
  {
    name: 'sark_cache_refreshes_total',
    instrument: 'sark_cache.refreshes',
    type: 'counter',
    unit: '{load}',
    help: 'Loads begun while a value was served.',
    ...one(({ loads }) => loads.refreshes),
  },
  {
    name: 'sark_cache_backed_off_total',
    instrument: 'sark_cache.backed_off',
    type: 'counter',
    unit: '{request}',
    help: 'Callers that were given the error of an earlier load, within retryAfter.',
    ...one(({ loads }) => loads.backedOff),
  },
  {
    name: 'sark_cache_writes_total',
    instrument: 'sark_cache.writes',
    type: 'counter',
    unit: '{entry}',
    help: 'Values to be stored, by what became of them.',
    ...by('result', ['stored', 'too_large', 'fenced'], ({ stats }) => ({
      stored: stats.sets,
      too_large: stats.rejections,
      fenced: stats.fenced,
    })),
  },
  {
    name: 'sark_cache_evictions_total',
    instrument: 'sark_cache.evictions',
    type: 'counter',
    unit: '{entry}',
    help: 'Entries that left by themselves: live ones because a bound was reached, others because their TTL had passed.',
    ...by('reason', ['max', 'max_size', 'expired'], ({ stats }) => ({
      max: stats.evictionsByMax,
      max_size: stats.evictionsByMaxSize,
      expired: stats.expirations,
    })),
  },
  {
    name: 'sark_cache_invalidations_total',
    instrument: 'sark_cache.invalidations',
    type: 'counter',
    unit: '{entry}',
    help: 'Entries removed because the program said so. Those of an invalidated tag count when they are met.',
    ...by('reason', ['delete', 'clear', 'tag'], ({ stats }) => ({
      delete: stats.deletes,
      clear: stats.cleared,
      tag: stats.invalidations,
    })),
  },
  {
    name: 'sark_cache_entries',
    instrument: 'sark_cache.entries',
    type: 'gauge',
    unit: '{entry}',
    help: 'Entries held.',
    ...one(({ stats }) => stats.size),
  },
  {
    name: 'sark_cache_bytes',
    instrument: 'sark_cache.bytes',
    type: 'gauge',
    unit: 'By',
    help: 'Bytes held, counted as for maxSize.',
    ...one(({ stats }) => stats.bytes),
  },
  {
    name: 'sark_cache_max_entries',
    instrument: 'sark_cache.max_entries',
    type: 'gauge',
    unit: '{entry}',
    help: 'The most entries that are held, where that is bounded.',
    ...one(({ settings }) => bound(settings.max)),
  },
  {
    name: 'sark_cache_max_bytes',
    instrument: 'sark_cache.max_bytes',
    type: 'gauge',
    unit: 'By',
    help: 'The most bytes that are held, where that is bounded.',
    ...one(({ settings }) => bound(settings.maxSize)),
  },
  {
    name: 'sark_cache_decisions_total',
    instrument: 'sark_cache.decisions',
    type: 'counter',
    unit: '{decision}',
    help: 'Decisions of a PolicyCache by outcome and source; an evaluation counts once, however many wait for it.',
    labels: { outcome: OUTCOMES, source: SOURCES },
    read: ({ decisions }) => (decisions === undefined ? [] : decisionSamples(decisions)),
  },
  {
    name: 'sark_cache_decision_read_duration_seconds',
    instrument: 'sark_cache.decision.read.duration',
    type: 'histogram',
    unit: 's',
    help: 'How long a PolicyCache took to find a decision or none: one read of 64.',
    labels: {},
    powers: READS,
    read: ({ decisions }) => decisions?.get,
  },
  {
    name: 'sark_cache_policy_invalidations_total',
    instrument: 'sark_cache.policy.invalidations',
    type: 'counter',
    unit: '{call}',
    help: 'Calls of invalidate and invalidateTag of a PolicyCache.',
    ...one(({ decisions }) => decisions?.invalidations),
  },
  ...TIER_METRICS,
  {
    name: 'sark_cache_info',
    instrument: 'sark_cache.info',
    type: 'gauge',
    unit: '{process}',
    help: 'How many processes have the cache open, by engine and eviction policy.',
    labels: { engine: ['rust', 'js'], policy: ['lru', 's3fifo'] },
    read: ({ engine, settings }) => [[INFO[engine][settings.policy], 1]],
  },
]

const OUTCOMES_AND_SOURCES = {
  hitsAllowed: { outcome: 'allowed', source: 'cache' },
  hitsDenied: { outcome: 'denied', source: 'cache' },
  remoteAllowed: { outcome: 'allowed', source: 'remote' },
  remoteDenied: { outcome: 'denied', source: 'remote' },
  staleAllowed: { outcome: 'allowed', source: 'stale' },
  staleDenied: { outcome: 'denied', source: 'stale' },
  evaluatedAllowed: { outcome: 'allowed', source: 'evaluation' },
  evaluatedDenied: { outcome: 'denied', source: 'evaluation' },
  errors: { outcome: 'error', source: 'evaluation' },
} as const satisfies Partial<Record<keyof DecisionTotals, Labels>>

function decisionSamples(decisions: DecisionTotals): Sample[] {
  return Object.entries(OUTCOMES_AND_SOURCES).map(([counter, labels]) => [
    labels,
    decisions[counter as keyof typeof OUTCOMES_AND_SOURCES],
  ])
}
