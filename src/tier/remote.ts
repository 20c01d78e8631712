import { randomBytes } from 'node:crypto'
import type { TierEntry, TierFence } from '../cache/tier.js'
import { startTimer } from '../common/timers.js'
import type { Moment, TierControl } from '../engine/capabilities.js'
import { Outcome } from '../engine/engine.js'
import type { Stored } from '../engine/stored.js'
import type { Found, Life, Missing, Refreshed, SecondTier } from '../loading/second-tier.js'
import type { Connection } from './connection.js'
import type { Fills } from './fills.js'
import { hold, release } from './hold.js'
import type { LocalValues } from './local.js'
import { wireName } from './names.js'
import type { TierSettings } from './options.js'
import type { Reads } from './reads.js'
import type { LeaseRequest } from './record-client.js'
import type { ServerTime } from './server-time.js'

/** Ms after which a value that another process loads is asked for again: first, and at the most. */
const FIRST_LOOK = 2
const LAST_LOOK = 64
/** Ms for which a refresh keeps other processes from the same. */
const REFRESH_LEASE = 5_000

/** What a fill needs, and what was found that might serve where a load fails. */
interface Miss extends Missing {
  /** What the load begins after; `undefined` if nothing may be filled. */
  readonly proof: Moment | undefined
  /** The server's time of day before the load. */
  readonly time: number
  /** When this process asked, by the clock of the control. */
  readonly began: number
  readonly fence: number
  /** The lease that other processes wait for. */
  token: string | undefined
}

interface Stale {
  readonly stored: Stored
  readonly since: number
  readonly tags: readonly string[]
  readonly fence: number
}

export interface RemoteParts {
  readonly control: TierControl
  readonly connection: Connection
  readonly reads: Reads
  readonly local: LocalValues
  readonly fills: Fills
  readonly time: ServerTime
  readonly settings: TierSettings
}

/** Finds values in Redis, and stores there what was loaded. */
export class Remote implements SecondTier {
  readonly #parts: RemoteParts
  readonly #reads: Reads
  /** What was found past its TTL, by key, while that is loaded. */
  readonly #stale = new Map<string, Stale>()

  constructor(parts: RemoteParts) {
    this.#parts = parts
    this.#reads = parts.reads
  }

  now(): number {
    return this.#reads.now()
  }

  joins(began: number): boolean {
    return this.#reads.joins(began)
  }

  refuse(): void {
    this.#reads.refuse()
  }

  adopt(key: string, found: Found, fence: number): number {
    return this.#reads.adopt(key, found, fence)
  }

  async find(
    key: string,
    refreshAhead: number | undefined,
    isOver: () => boolean,
  ): Promise<Found | Missing | Refreshed> {
    const kept = this.#reads.findKept(key)
    if (kept !== undefined) return kept
    hold()
    try {
      return await this.#ask(key, refreshAhead, isOver)
    } finally {
      release()
    }
  }

  async #ask(
    key: string,
    refreshAhead: number | undefined,
    isOver: () => boolean,
  ): Promise<Found | Missing | Refreshed> {
    const isRefresh = refreshAhead !== undefined
    const ms = isRefresh ? REFRESH_LEASE : this.#parts.settings.loadLease
    const token = ms > 0 ? randomBytes(9).toString('base64url') : undefined
    const lease = token === undefined ? undefined : { token, ms }
    const end = this.now() + ms
    let stale: Stale | undefined
    /** A load follows, at whose end what was found stale goes. */
    const skip = (began: number, fence: number, own?: string): Miss => {
      if (stale !== undefined) this.#stale.set(key, stale)
      return this.#skip(began, fence, own)
    }
    for (let look = FIRST_LOOK; ; look = Math.min(LAST_LOOK, look * 2)) {
      const began = this.now()
      const fence = this.#parts.local.suspended.fence()
      const reply = await this.#reads.read(key, lease)
      if (reply === undefined) return this.#miss(began, fence)
      if (reply.kind === 'miss') return this.#miss(began, fence, reply.at, reply.time, token)
      let othersFor = reply.kind === 'busy' ? reply.left : Infinity
      if (reply.kind === 'hit') {
        const found = this.#reads.take(reply, began, fence)
        if (found === undefined) return this.#skip(began, fence)
        const isFresh = found.freshUntil > this.now()
        if (isFresh && !(isRefresh && found.freshUntil - this.now() <= refreshAhead * reply.ttl)) return found
        if (!isFresh) stale = this.#staleOf(found)
        // What is there and too old is to be loaded by one process, too.
        if (lease === undefined || (await this.#claim(key, lease))) return skip(began, fence, token)
        othersFor = LAST_LOOK
      }
      if (isRefresh) return { kind: 'refreshed' }
      const left = Math.min(look, othersFor, end - this.now())
      if (left > 0) await new Promise<void>((resolve) => startTimer(left, resolve))
      if (left <= 0 || isOver()) return skip(began, fence)
    }
  }

  /** Whether the load of a key is this process' own: no other has it. */
  #claim(key: string, { token, ms }: LeaseRequest): Promise<boolean> {
    const { connection, settings } = this.#parts
    return connection.send(settings.readTimeout, (client) => client.claim(key, token, ms)).catch(() => true)
  }

  #staleOf({ stored, freshUntil, tags }: Found): Stale {
    return { stored, since: freshUntil, tags, fence: this.#parts.local.engine.fence() }
  }

  stale(key: string, ms: number): Stored | undefined {
    const found = this.#stale.get(key)
    if (found === undefined || this.now() - found.since > ms) return undefined
    return this.#parts.local.engine.permits(key, found.fence, found.tags) ? found.stored : undefined
  }

  skip(): Missing {
    return this.#skip(this.now(), this.#parts.local.suspended.fence())
  }

  /** A miss without an answer of Redis: what was seen last is as good a proof. */
  #skip(began: number, fence: number, token?: string): Miss {
    const { control, time } = this.#parts
    const seen = control.seen()
    return this.#miss(began, fence, seen[0] > 0 ? seen : undefined, time.when(this.now()), token)
  }

  #miss(began: number, fence: number, proof?: Moment, time?: number, token?: string): Miss {
    return {
      kind: 'missing',
      proof: time === undefined ? undefined : proof,
      time: time ?? 0,
      began,
      fence,
      token,
    }
  }

  keep(key: string, stored: Stored, life: Life, tags: readonly string[], missing: Missing): void {
    const miss = missing as Miss
    const { proof, time, began, fence, token } = miss
    const { local, fills } = this.#parts
    const names = tags.map(wireName)
    const age = this.now() - began
    if (!this.#reads.isHeld) local.suspended.keep(key, stored, life.ttl - age, age, fence, names)
    if (proof === undefined) return
    if (!fills.store(key, stored, proof, time, life, names, token)) return
    // It is given back with the entry.
    miss.token = undefined
  }

  end(key: string, missing: Missing): void {
    this.#stale.delete(key)
    const { token } = missing as Miss
    if (token !== undefined) this.#parts.fills.end(key, token)
  }

  /** Stores a value that changes nothing for others. */
  fill({ key, stored, ttl, tags }: TierEntry, fence: TierFence): boolean {
    const { local, control, fills, time } = this.#parts
    const names = tags.map(wireName)
    const life = ttl ?? local.engine.settings.ttl
    if (local.store(key, stored, life, fence.local, names, 0) !== Outcome.Stored) return false
    const began = time.when(fence.at)
    if (fence.epoch > 0 && began !== undefined && fence.epoch === control.seen()[0]) {
      const at: Moment = [fence.epoch, fence.sequence]
      fills.store(key, stored, at, began, { ttl: life, grace: 0 }, names)
    }
    return true
  }
}
