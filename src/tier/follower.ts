import { startTimer } from '../common/timers.js'
import type { TierControl } from '../engine/capabilities.js'
import type { Connection } from './connection.js'
import type { TierCounts } from './counts.js'
import type { LocalValues } from './local.js'
import type { FollowReply } from './record.js'

/** The most changes in one reply. */
const BATCH = 1_000
/** Ms to wait after a command that failed, while the connection can be used. */
const PAUSE = 25

export interface FollowerParts {
  readonly control: TierControl
  readonly local: LocalValues
  readonly counts: TierCounts
  readonly maxStaleness: number
  /** Ms between two confirmations while nothing changes. */
  readonly beat: number
  /** Opens the connection that waits for changes. */
  connect(): Connection
  onCleared(reason: 'epoch' | 'gap'): void
  /** Told the memory policy of the server, once. */
  onMemoryPolicy(policy: string | undefined): void
  /** Told that all is applied that was changed until a moment ago. */
  onConfirmed(): void
}

/**
 * Applies to this process what any process changed. One thread of a process does, and each time it has seen everything
 * it extends the lease by which all of them answer reads. The record is the truth: a log that was trimmed or lost costs
 * a clear, never a change that is missed.
 */
export class Follower {
  readonly #parts: FollowerParts
  #connection: Connection | undefined
  #isClosed = false

  constructor(parts: FollowerParts) {
    this.#parts = parts
  }

  /** Whether this thread is the one. */
  get isFollowing(): boolean {
    return this.#connection !== undefined
  }

  get connection(): Connection | undefined {
    return this.#connection
  }

  /** Begins to follow, if no thread does. */
  tryToFollow(): void {
    if (this.#isClosed || this.isFollowing || !this.#parts.control.follow()) return
    const connection = this.#parts.connect()
    this.#connection = connection
    void this.#run(connection)
  }

  async #run(connection: Connection): Promise<void> {
    await connection.whenUsable()
    if (!this.#isClosed) this.#askForPolicy(connection)
    while (!this.#isClosed) {
      await connection.whenUsable()
      if (this.#isClosed) return
      try {
        await this.#follow(connection)
      } catch {
        // What failed is with the connection, which attaches again; the lease runs out meanwhile.
        await new Promise<void>((resolve) => startTimer(PAUSE, resolve))
      }
    }
  }

  #askForPolicy(connection: Connection): void {
    const { beat, onMemoryPolicy } = this.#parts
    connection.send(2 * beat, (client) => client.memoryPolicy()).then(onMemoryPolicy, () => {})
  }

  async #follow(connection: Connection): Promise<void> {
    const { control, maxStaleness, beat } = this.#parts
    const from = control.position()
    const reply = await connection.call(beat, (client, check) => client.follow(from, BATCH, check))
    // The server is known to be the master for as long as the last reply is old that said so.
    const confirmed = connection.checkedAt
    if (this.#isClosed || this.#apply(reply, from)) return
    const [epoch] = reply.at
    this.#parts.onConfirmed()
    control.extend(epoch, confirmed + maxStaleness)
    await connection.send(2 * beat, (client) => client.wait(beat, control.position()))
  }

  /** Applies what a reply tells of the time after `from`; says whether there is more to come. */
  #apply({ at, events, more }: FollowReply, from: readonly [number, number]): boolean {
    const { control, counts, local } = this.#parts
    const [epoch, sequence] = at
    if (epoch !== from[0] || sequence < from[1]) {
      this.#clear('epoch')
      // A server that was promoted may not have what another one acknowledged.
      if (epoch !== from[0]) control.redeliver(epoch)
      control.advance(epoch, sequence)
      return false
    }
    let applied = from[1]
    for (const event of events) {
      if (event.sequence !== applied + 1) break
      for (const name of event.names) local.apply(name)
      applied = event.sequence
      counts.changesApplied++
    }
    if (!more && applied < sequence) {
      this.#clear('gap')
      applied = sequence
    }
    control.advance(epoch, applied)
    return applied < sequence
  }

  #clear(reason: 'epoch' | 'gap'): void {
    this.#parts.local.clear()
    this.#parts.counts.clears[reason]++
    this.#parts.onCleared(reason)
  }

  close(): void {
    this.#isClosed = true
    this.#connection?.close()
  }
}
