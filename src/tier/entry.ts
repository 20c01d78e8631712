import type { Moment } from '../engine/capabilities.js'
import { MAX_GRACE } from '../engine/limits.js'
import type { Stored } from '../engine/stored.js'
import type { Life } from '../loading/second-tier.js'
import { encodeEntry, payloadOf } from './envelope.js'

/** The longest life of an entry in Redis, in ms: 30 days. */
const LONGEST = 30 * 86_400_000

/** The most bytes of a value that is stored in Redis. */
const MOST_BYTES = 2 ** 20

/** An entry as it is written, and when it ends by the server's time of day. */
export interface SealedEntry {
  readonly bytes: Buffer
  readonly expiresAt: number
}

/**
 * The entry of a value; `undefined` for one that is too large, or has no time to live.
 *
 * @param at What its load began after.
 * @param began The server's time of day then, or a little before.
 * @param tags By their names on the wire.
 */
export function seal(
  stored: Stored,
  format: number,
  at: Moment,
  began: number,
  life: Life,
  tags: readonly string[],
  most: number,
): SealedEntry | undefined {
  const ttl = Math.floor(Math.min(life.ttl, LONGEST))
  const grace = Math.floor(Math.min(life.grace, LONGEST, MAX_GRACE))
  if (ttl <= 0) return undefined
  const { encoding, payload } = payloadOf(stored, format)
  if (payload.byteLength > Math.min(most, MOST_BYTES)) return undefined
  return { bytes: encodeEntry({ at, encoding, ttl, grace, tags, payload }), expiresAt: began + ttl + grace }
}
