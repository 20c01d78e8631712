import type { EngineStats } from '../engine/engine.js'
import type { LoadCounts } from '../loading/counters.js'
import type { CacheCore } from './core.js'

/**
 * What happened in a cache. Shared by all threads that have it open, but for the counts of loads. Reads that another
 * thread answered by values that it keeps count when it reports them: as soon as it comes to its event loop, and at
 * the latest after some thousands; those of a thread that is terminated may be lost.
 */
export interface CacheStats extends EngineStats, LoadCounts {
  /** `hits / (hits + misses)`, 0 before the first read. */
  hitRate: number
  /** Evictions for any reason. */
  evictions: number
  /** Entries held. Expired ones count until they are removed. */
  size: number
  /** Bytes held, counted as for `maxSize`. */
  bytes: number
  /** Loads of `getOrSet` that are under way, in all threads. */
  loading: number
}

export function statsOf<V>(core: CacheCore<V>): CacheStats {
  const { engine, loader } = core
  core.flush()
  const stats = engine.stats()
  const reads = stats.hits + stats.misses
  return {
    ...stats,
    hitRate: reads === 0 ? 0 : stats.hits / reads,
    evictions: stats.evictionsByMax + stats.evictionsByMaxSize,
    size: engine.size(),
    bytes: engine.bytes(),
    loading: engine.leases(),
    ...loader.counts,
  }
}

export function resetStatsOf<V>(core: CacheCore<V>): void {
  const { engine, loader } = core
  core.flush()
  engine.resetStats()
  loader.resetCounts()
}
