import type { Moment, TierControl } from '../engine/capabilities.js'
import type { Stored } from '../engine/stored.js'
import type { Life } from '../loading/second-tier.js'
import type { Breaker } from './breaker.js'
import type { Connection } from './connection.js'
import type { TierCounts } from './counts.js'
import { seal } from './entry.js'

/** The most fills under way; what comes beside them is not stored in Redis. */
const MOST = 1_000

export interface FillsParts {
  readonly control: TierControl
  readonly connection: Connection
  readonly breaker: Breaker
  readonly counts: TierCounts
  /** Ms that one may take. */
  readonly timeout: number
  /** The number of the serializer, and the most bytes of a value. */
  readonly format: number
  readonly mostBytes: number
}

/** What is stored in Redis, by no name of which anything was changed since. */
export class Fills {
  readonly #parts: FillsParts
  #underWay = 0

  constructor(parts: FillsParts) {
    this.#parts = parts
  }

  /**
   * Stores a value, without waiting for it; says whether that was begun.
   *
   * @param at What its load began after: its proof.
   * @param began The server's time of day then, or a little before.
   * @param tags By their names on the wire.
   * @param token The lease of its load, which ends with it.
   */
  store(
    key: string,
    stored: Stored,
    at: Moment,
    began: number,
    life: Life,
    tags: readonly string[],
    token?: string,
  ): boolean {
    const { control, connection, breaker, counts, timeout, format, mostBytes } = this.#parts
    const sealed = seal(stored, format, at, began, life, tags, mostBytes)
    if (sealed === undefined) return false
    const isPossible = connection.isUsable && control.pendingCount() === 0 && breaker.state === 'closed'
    if (!isPossible || this.#underWay >= MOST) {
      counts.fillErrors++
      return false
    }
    const { bytes, expiresAt } = sealed
    this.#underWay++
    connection
      .send(timeout, (client) =>
        token === undefined ? client.fill(key, bytes, expiresAt) : client.land(key, token, bytes, expiresAt),
      )
      .then(
        () => counts.fills++,
        () => counts.fillErrors++,
      )
      .finally(() => this.#underWay--)
    return true
  }

  /** Gives the lease of a load back that came to nothing. */
  end(key: string, token: string): void {
    const { connection, timeout } = this.#parts
    connection.send(timeout, (client) => client.land(key, token, undefined, 0)).catch(() => {})
  }
}
