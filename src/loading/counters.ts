/** What a loader did. */
export interface LoadCounts {
  /** Loads begun. */
  loads: number
  /** Loads of those that failed. */
  loadErrors: number
  /** Callers that shared a load begun by another of this object. */
  loadsShared: number
  /** Stale values served. */
  stale: number
  /** Loads of those begun while a value was served. */
  refreshes: number
  /** Callers that were given the error of the last load again, because it was less than `retryAfter` ms ago. */
  backedOff: number
}

export function noLoads(): LoadCounts {
  return { loads: 0, loadErrors: 0, loadsShared: 0, stale: 0, refreshes: 0, backedOff: 0 }
}
