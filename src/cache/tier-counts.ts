import type { BreakerState } from './tier-health.js'

/** What happened between a thread and the tier. */
export interface TierCounts {
  /** Reads of the tier that found a value, or none. */
  remoteHits: number
  remoteMisses: number
  /** Values found past their TTL. */
  remoteStale: number
  /** Reads that failed, and those of them that were not answered in time. */
  remoteErrors: number
  remoteTimeouts: number
  /** Values that were there and not to be believed: changed since, of another format, or by a server left behind. */
  remoteRefused: number
  /** Values stored in the tier, and attempts that failed or were not made. */
  fills: number
  fillErrors: number
  /** Changes acknowledged for this thread. */
  changes: number
  /** Changes of the record that were applied to this process, its own included. */
  changesApplied: number
  /** Times that this process was cleared, since it could not tell what had changed: by reason. */
  clears: { epoch: number; gap: number }
  /** Reads that found the lease of this process run out. */
  suspendedReads: number
  /** Changes that were not acknowledged at first, and those of them that were later. */
  pendingAdded: number
  pendingDelivered: number
}

/** How a tier is, and what all threads counted of it, for whoever looks at all caches. */
export interface TierTotals {
  readonly counts: TierCounts
  /** Changes that the tier has not acknowledged, of all threads. */
  readonly pending: number
  /** For how many ms reads are still answered; 0 while they are not. */
  readonly heldForMs: number
  /** The breaker of this thread's reads. */
  readonly breaker: BreakerState
}
