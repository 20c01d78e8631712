/** Of what keeps a thread from asking a server that does not answer: open while it does. */
export type BreakerState = 'closed' | 'open' | 'half-open'

/** How a tier is, as this process knows it. */
export interface TierHealth {
  /** `failed`: it is closed. `degraded`: it is suspended, the breaker is open, or changes are pending. */
  status: 'ok' | 'degraded' | 'failed'
  lease: {
    /** For how many ms reads are still answered; 0 while they are not. */
    heldForMs: number
    /** How long ago this thread last knew all changes, if it is the one that follows them; else `undefined`. */
    confirmedAgeMs: number | undefined
    epoch: number
    sequence: number
    /** Whether this thread follows the changes for the process. */
    follower: boolean
  }
  redis: {
    /** The breaker of this thread's reads. */
    state: BreakerState
    attached: boolean
    /** How long the last command took, in ms; `NaN` before the first. */
    rttMs: number
  }
  /** Changes that Redis has not acknowledged. */
  pending: number
  /** Why the connection of this thread cannot be used, where that is known. */
  error: unknown
}

export type TierState = 'connecting' | 'ok' | 'suspended' | 'closed'

/** Told on `sark-cache:tier`. */
export interface TierMessage {
  type: 'attached' | 'gone' | 'suspended' | 'resumed' | 'cleared' | 'pending' | 'delivered' | 'breaker'
  namespace: string
  /** Why, where that is known: an error, the reason of a clear, the state of the breaker. */
  reason: unknown
}
