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

export function noCounts(): TierCounts {
  return {
    remoteHits: 0,
    remoteMisses: 0,
    remoteStale: 0,
    remoteErrors: 0,
    remoteTimeouts: 0,
    remoteRefused: 0,
    fills: 0,
    fillErrors: 0,
    changes: 0,
    changesApplied: 0,
    clears: { epoch: 0, gap: 0 },
    suspendedReads: 0,
    pendingAdded: 0,
    pendingDelivered: 0,
  }
}
