import type { TierTotals } from '../cache/tier-counts.js'
import { by, type CacheSnapshot, type Metric, type NumberMetric, one } from './metric.js'

/** As `by`, of a tier; no samples of a cache that has none. */
function byOfTier<L extends string>(
  label: string,
  values: readonly L[],
  read: (tier: TierTotals) => Record<L, number>,
): Pick<NumberMetric, 'labels' | 'read'> {
  const metric = by(label, values, ({ tier }) => read(tier as TierTotals))
  return { ...metric, read: (cache) => (cache.tier === undefined ? [] : metric.read(cache)) }
}

const oneOfTier = (read: (tier: TierTotals) => number) =>
  one(({ tier }: CacheSnapshot) => (tier === undefined ? undefined : read(tier)))

/** Metrics of caches that other processes share by a tier. */
export const TIER_METRICS: readonly Metric[] = [
  {
    name: 'sark_cache_tier_reads_total',
    instrument: 'sark_cache.tier.reads',
    type: 'counter',
    unit: '{read}',
    help: 'Reads of the tier by result: refused is what was there and not to be believed.',
    ...byOfTier('result', ['hit', 'miss', 'stale', 'refused', 'error', 'timeout'], ({ counts }) => ({
      hit: counts.remoteHits,
      miss: counts.remoteMisses,
      stale: counts.remoteStale,
      refused: counts.remoteRefused,
      error: counts.remoteErrors - counts.remoteTimeouts,
      timeout: counts.remoteTimeouts,
    })),
  },
  {
    name: 'sark_cache_tier_suspended_reads_total',
    instrument: 'sark_cache.tier.suspended_reads',
    type: 'counter',
    unit: '{read}',
    help: 'Reads that found the lease of the process run out.',
    ...oneOfTier(({ counts }) => counts.suspendedReads),
  },
  {
    name: 'sark_cache_tier_fills_total',
    instrument: 'sark_cache.tier.fills',
    type: 'counter',
    unit: '{entry}',
    help: 'Values to be stored in the tier, by what became of them.',
    ...byOfTier('result', ['stored', 'failed'], ({ counts }) => ({
      stored: counts.fills,
      failed: counts.fillErrors,
    })),
  },
  {
    name: 'sark_cache_tier_changes_total',
    instrument: 'sark_cache.tier.changes',
    type: 'counter',
    unit: '{change}',
    help: 'Changes of this process that the tier acknowledged at once.',
    ...oneOfTier(({ counts }) => counts.changes),
  },
  {
    name: 'sark_cache_tier_changes_applied_total',
    instrument: 'sark_cache.tier.changes_applied',
    type: 'counter',
    unit: '{change}',
    help: 'Changes of all processes that were applied to this one.',
    ...oneOfTier(({ counts }) => counts.changesApplied),
  },
  {
    name: 'sark_cache_tier_pending_total',
    instrument: 'sark_cache.tier.pending.events',
    type: 'counter',
    unit: '{name}',
    help: 'Names in changes that were not acknowledged at once, and those of them that were later.',
    ...byOfTier('event', ['added', 'delivered'], ({ counts }) => ({
      added: counts.pendingAdded,
      delivered: counts.pendingDelivered,
    })),
  },
  {
    name: 'sark_cache_tier_clears_total',
    instrument: 'sark_cache.tier.clears',
    type: 'counter',
    unit: '{clear}',
    help: 'Times that the process was cleared, since it could not tell what had changed.',
    ...byOfTier('reason', ['epoch', 'gap'], ({ counts }) => counts.clears),
  },
  {
    name: 'sark_cache_tier_pending',
    instrument: 'sark_cache.tier.pending',
    type: 'gauge',
    unit: '{name}',
    help: 'Names in changes that the tier has not acknowledged: other processes may serve what was there before.',
    ...oneOfTier(({ pending }) => pending),
  },
  {
    name: 'sark_cache_tier_lease_seconds',
    instrument: 'sark_cache.tier.lease',
    type: 'gauge',
    unit: 's',
    help: 'For how long the process may still serve what it holds; 0 while it is suspended.',
    ...oneOfTier(({ heldForMs }) => heldForMs / 1e3),
  },
  {
    name: 'sark_cache_tier_breaker',
    instrument: 'sark_cache.tier.breaker',
    type: 'gauge',
    unit: '{thread}',
    help: 'Whether the tier is read, by the state of the breaker: 1 for the one that it is in.',
    ...byOfTier('state', ['closed', 'open', 'half-open'], ({ breaker }) => ({
      closed: Number(breaker === 'closed'),
      open: Number(breaker === 'open'),
      'half-open': Number(breaker === 'half-open'),
    })),
  },
]
