import type { Moment } from '../engine/capabilities.js'

/** What a read found in Redis. */
export interface RecordHit {
  readonly kind: 'hit'
  readonly at: Moment
  /** The ms that the entry has to live, its grace included. */
  readonly left: number
  /** The TTL and the grace that it was stored with, in ms. */
  readonly ttl: number
  readonly grace: number
  /** How the payload is encoded: see `envelope.ts`. */
  readonly encoding: number
  readonly payload: Buffer
  /** Its tags, by their names on the wire. */
  readonly tags: readonly string[]
}

/** Nothing that may be believed. */
export interface RecordMiss {
  readonly kind: 'miss'
  /** The proof for a fill. */
  readonly at: Moment
  /** The server's time of day in ms, for the deadline of a fill. */
  readonly time: number
  /** Why what was there was not believed, or that there was nothing. */
  readonly reason: 'absent' | 'changed' | 'unknown'
}

/** Another process loads the value. */
export interface RecordBusy {
  readonly kind: 'busy'
  readonly at: Moment
  /** The ms for which its lease lasts. */
  readonly left: number
}

export type RecordReply = RecordHit | RecordMiss | RecordBusy

export interface ChangeReply {
  readonly at: Moment
  /** How many entries were removed. */
  readonly removed: number
  /** The greatest sequence number that what was compared had before. */
  readonly before: number
  /** The server's time of day in ms. */
  readonly time: number
}

export interface FollowReply {
  readonly at: Moment
  /** The changes after the moment asked for, in order, as far as the log has them; `more` if there may be others. */
  readonly events: readonly { readonly sequence: number; readonly names: readonly string[] }[]
  readonly more: boolean
}

/** Why a command came to nothing. */
export type RecordFailure =
  /** The record is another one or gone; or the server is no master. Nothing works on the connection before `attach`. */
  | 'detached'
  /** The connection is gone, or the server cannot serve now. */
  | 'unavailable'
  /** The server refuses the command for good: its ACL, a wrong type of key. */
  | 'refused'
