import type { Moment, TierControl } from '../engine/capabilities.js'
import { Outcome } from '../engine/engine.js'
import type { Stored } from '../engine/stored.js'
import type { Found } from '../loading/second-tier.js'
import type { Breaker } from './breaker.js'
import { type Connection, RecordTimeout } from './connection.js'
import type { TierCounts } from './counts.js'
import { storedOf } from './envelope.js'
import { hold, release } from './hold.js'
import type { LocalValues } from './local.js'
import type { TierSettings } from './options.js'
import type { RecordHit, RecordReply } from './record.js'
import type { LeaseRequest, RecordClient } from './record-client.js'
import type { ServerTime } from './server-time.js'

/** Reads of one call, each of which was overtaken by a change. */
const MOST_ROUNDS = 5

/** Places in what the control tells at a glance. */
const HELD_UNTIL = 0
const EPOCH = 1
const SEQUENCE = 2
const PENDING = 3
const TIME = 4

/** A value that this process holds while it is suspended. */
interface Kept extends Found {
  readonly isKept: true
}

/** What Redis did not have, and what proves that of a value that is loaded then. */
export class Missed {
  readonly kind = 'missing'
  readonly proof: Moment
  readonly time: number
  readonly began: number
  readonly fence: number
  readonly token = undefined

  constructor(proof: Moment, time: number, began: number, fence: number) {
    this.proof = proof
    this.time = time
    this.began = began
    this.fence = fence
  }
}

/** A value of Redis. */
interface Taken extends Found {
  /** When it was asked for, and the fence of what is kept while suspended then. */
  readonly began: number
  readonly fence: number
}

export interface ReadsParts {
  readonly control: TierControl
  readonly connection: Connection
  readonly breaker: Breaker
  readonly local: LocalValues
  readonly counts: TierCounts
  readonly time: ServerTime
  readonly settings: TierSettings
  /** The number of the serializer. */
  readonly format: number
}

const NOTHING = Promise.resolve(undefined)

/** Reads of Redis, as far as what it answers may be believed. */
export class Reads {
  readonly #parts: ReadsParts
  readonly #now = new Float64Array(5)
  /** Those under way that no load waits for, by key. */
  readonly #underWay = new Map<
    string,
    { began: number; fence: number; value: Promise<Stored | Missed | undefined> }
  >()

  constructor(parts: ReadsParts) {
    this.#parts = parts
  }

  now(): number {
    return this.#parts.control.time()
  }

  /** Looks at what all threads know: how things are now. */
  #look(): Float64Array {
    this.#parts.control.glance(this.#now)
    return this.#now
  }

  /** Whether this process has heard of all changes until a while ago, so that what it holds may be served. */
  get isHeld(): boolean {
    const now = this.#look()
    return (now[TIME] as number) < (now[HELD_UNTIL] as number)
  }

  /** Whether a caller may wait for what began at this moment. */
  joins(began: number): boolean {
    return this.isHeld || this.now() - began < this.#parts.settings.maxStaleness
  }

  /**
   * The value under a key, where no load is to come; what is found is stored in the cache.
   *
   * @param accepts Whether a value is one: whoever may write to the namespace may have put anything there.
   */
  get(key: string, accepts: (stored: Stored) => boolean): Promise<Stored | Missed | undefined> {
    const { engine } = this.#parts.local
    const running = this.#underWay.get(key)
    if (running !== undefined && this.joins(running.began) && engine.permits(key, running.fence)) {
      return running.value
    }
    const read = { began: this.now(), fence: engine.fence(), value: this.#get(key, accepts) }
    this.#underWay.set(key, read)
    const end = () => {
      if (this.#underWay.get(key) === read) this.#underWay.delete(key)
    }
    read.value.then(end, end)
    return read.value
  }

  async #get(key: string, accepts: (stored: Stored) => boolean): Promise<Stored | Missed | undefined> {
    const { local } = this.#parts
    hold()
    try {
      for (let round = 0; round < MOST_ROUNDS; round++) {
        const fence = local.engine.fence()
        const found = this.findKept(key) ?? (await this.#findFresh(key))
        if (found === undefined || found instanceof Missed) return found
        if (!accepts(found.stored)) {
          this.refuse()
          return undefined
        }
        // What was changed meanwhile is not what is asked for.
        if (this.adopt(key, found, fence) !== Outcome.Fenced) return found.stored
      }
      return undefined
    } finally {
      release()
    }
  }

  async #findFresh(key: string): Promise<Found | Missed | undefined> {
    const began = this.now()
    const fence = this.#parts.local.suspended.fence()
    const reply = await this.read(key, undefined)
    if (reply?.kind === 'miss') return new Missed(reply.at, reply.time, began, fence)
    if (reply?.kind !== 'hit') return undefined
    const found = this.take(reply, began, fence)
    return found !== undefined && found.freshUntil > this.now() ? found : undefined
  }

  /** What Redis answers, if it may be believed. */
  read(key: string, lease: LeaseRequest | undefined): Promise<RecordReply | undefined> {
    const { connection, breaker, settings } = this.#parts
    const now = this.#look()
    if ((now[PENDING] as number) > 0 || !connection.isUsable || !breaker.allows()) return NOTHING
    const epoch = now[EPOCH] as number
    const sequence = now[SEQUENCE] as number
    const command = (client: RecordClient, check: boolean) => client.read(key, { check, lease })
    return connection.call(settings.readTimeout, command, now[TIME] as number).then(
      (reply) => this.#believe(reply, epoch, sequence),
      (error) => this.#onFailure(error),
    )
  }

  /** The reply, if nothing makes it older than what was seen before it was asked for. */
  #believe(reply: RecordReply, epoch: number, sequence: number): RecordReply | undefined {
    const { breaker, counts, time } = this.#parts
    breaker.succeeded()
    const now = this.#look()
    if (reply.kind === 'miss') {
      time.tell(reply.time, now[TIME] as number)
      if (reply.reason === 'absent') counts.remoteMisses++
      else counts.remoteRefused++
    }
    // What a replica that was left behind would say; and while a change of this process is missing there, nothing.
    const isOld = reply.at[0] === epoch && reply.at[1] < sequence
    if (!isOld && reply.at[0] === now[EPOCH] && now[PENDING] === 0) return reply
    counts.remoteRefused++
    return undefined
  }

  #onFailure(error: unknown): undefined {
    const { breaker, counts } = this.#parts
    breaker.failed()
    counts.remoteErrors++
    if (error instanceof RecordTimeout) counts.remoteTimeouts++
  }

  /** A value of Redis, fresh or not; `undefined` if it cannot be understood. */
  take(reply: RecordHit, began: number, fence: number): Taken | undefined {
    const { counts, format } = this.#parts
    const stored = storedOf(reply.payload, reply.encoding, format)
    if (stored === undefined) {
      counts.remoteRefused++
      return undefined
    }
    const freshUntil = began + reply.left - reply.grace
    if (freshUntil > this.now()) counts.remoteHits++
    else counts.remoteStale++
    return { kind: 'found', stored, freshUntil, grace: reply.grace, tags: reply.tags, began, fence }
  }

  /** Counts what was there and is no value. */
  refuse(): void {
    this.#parts.counts.remoteRefused++
  }

  /** What this process keeps while it is suspended. */
  findKept(key: string): Kept | undefined {
    const { counts, local } = this.#parts
    if (this.isHeld) return undefined
    counts.suspendedReads++
    const stored = local.suspended.find(key)
    if (stored === undefined) return undefined
    const freshUntil = this.now() + local.suspended.left(key)
    return { kind: 'found', stored, freshUntil, grace: 0, tags: [], isKept: true }
  }

  /** Stores what was found in the cache; returns an `Outcome`. */
  adopt(key: string, found: Found, fence: number): number {
    const { local } = this.#parts
    if ('isKept' in found) {
      // Its tags are not known, so that the cache cannot have it.
      const holds = local.suspended.find(key) !== undefined && local.engine.permits(key, fence)
      return holds ? Outcome.TooLarge : Outcome.Fenced
    }
    const { stored, freshUntil, tags, grace, began, fence: kept } = found as Taken
    const now = this.#look()
    const time = now[TIME] as number
    if (time >= (now[HELD_UNTIL] as number)) {
      local.suspended.keep(key, stored, freshUntil - time, time - began, kept, tags)
    }
    return local.store(key, stored, freshUntil - time, fence, tags, grace)
  }
}
