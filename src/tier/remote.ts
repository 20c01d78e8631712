import { randomBytes } from 'node:crypto'
import type { TierEntry, TierFence } from '../cache/tier.js'
import { holdProcess, startTimer } from '../common/timers.js'
import type { Moment, TierControl } from '../engine/capabilities.js'
import { Outcome } from '../engine/engine.js'
import type { Stored } from '../engine/stored.js'
import type { Found, Life, Missing, Refreshed, SecondTier } from '../loading/second-tier.js'
import type { Breaker } from './breaker.js'
import { type Connection, RecordTimeout } from './connection.js'
import type { TierCounts } from './counts.js'
import { storedOf } from './envelope.js'
import type { Fills } from './fills.js'
import type { LocalValues } from './local.js'
import { wireName } from './names.js'
import type { TierSettings } from './options.js'
import type { RecordHit, RecordReply } from './record.js'
import type { LeaseRequest } from './record-client.js'
import type { ServerTime } from './server-time.js'

/** Ms after which a value that another process loads is asked for again: first, and at the most. */
const FIRST_LOOK = 2
const LAST_LOOK = 64
/** Reads of one call, each of which was overtaken by a change. */
const MOST_ROUNDS = 5
/** Ms for which a refresh keeps other processes from the same. */
const REFRESH_LEASE = 5_000

/** A value that this process holds while it is suspended. */
interface Kept extends Found {
  readonly isKept: true
}

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
  readonly breaker: Breaker
  readonly local: LocalValues
  readonly counts: TierCounts
  readonly time: ServerTime
  readonly settings: TierSettings
  readonly fills: Fills
  /** The number of the serializer. */
  readonly format: number
}

/** Finds values in Redis, and stores there what was loaded. */
export class Remote implements SecondTier {
  readonly #parts: RemoteParts
  /** What was found past its TTL, by key, while that is loaded. */
  readonly #stale = new Map<string, Stale>()
  /** Reads under way that no load waits for, by key. */
  readonly #reads = new Map<string, { began: number; fence: number; value: Promise<Stored | undefined> }>()

  constructor(parts: RemoteParts) {
    this.#parts = parts
  }

  now(): number {
    return this.#parts.control.time()
  }

  /** Whether this process has heard of all changes until a while ago, so that what it holds may be served. */
  get isHeld(): boolean {
    const { control } = this.#parts
    return control.time() < control.heldUntil()
  }

  joins(began: number): boolean {
    return this.isHeld || this.now() - began < this.#parts.settings.maxStaleness
  }

  async find(
    key: string,
    refreshAhead: number | undefined,
    signal: AbortSignal,
  ): Promise<Found | Missing | Refreshed> {
    const kept = this.#findKept(key)
    if (kept !== undefined) return kept
    // Connections keep no process alive, and somebody waits.
    const hold = holdProcess()
    try {
      return await this.#ask(key, refreshAhead, signal)
    } finally {
      clearTimeout(hold)
    }
  }

  /** Reads without a load to come: what is found is stored in the cache. */
  get(key: string): Promise<Stored | undefined> {
    const { engine } = this.#parts.local
    const running = this.#reads.get(key)
    if (running !== undefined && this.joins(running.began) && engine.permits(key, running.fence)) {
      return running.value
    }
    const read = { began: this.now(), fence: engine.fence(), value: this.#get(key) }
    this.#reads.set(key, read)
    const end = () => {
      if (this.#reads.get(key) === read) this.#reads.delete(key)
    }
    read.value.then(end, end)
    return read.value
  }

  async #get(key: string): Promise<Stored | undefined> {
    const { local } = this.#parts
    const hold = holdProcess()
    try {
      for (let round = 0; round < MOST_ROUNDS; round++) {
        const fence = local.engine.fence()
        const found = this.#findKept(key) ?? (await this.#findFresh(key))
        if (found === undefined) return undefined
        // What was changed meanwhile is not what is asked for.
        if (this.adopt(key, found, fence) !== Outcome.Fenced) return found.stored
      }
      return undefined
    } finally {
      clearTimeout(hold)
    }
  }

  async #findFresh(key: string): Promise<Found | undefined> {
    const began = this.now()
    const fence = this.#parts.local.suspended.fence()
    const reply = await this.#read(key, undefined)
    if (reply?.kind !== 'hit') return undefined
    const found = this.#take(key, reply, began, fence)
    return found !== undefined && found.freshUntil > this.now() ? found : undefined
  }

  async #ask(
    key: string,
    refreshAhead: number | undefined,
    signal: AbortSignal,
  ): Promise<Found | Missing | Refreshed> {
    const isRefresh = refreshAhead !== undefined
    const ms = isRefresh ? REFRESH_LEASE : this.#parts.settings.loadLease
    const token = ms > 0 ? randomBytes(9).toString('base64url') : undefined
    const lease = token === undefined ? undefined : { token, ms }
    const end = this.now() + ms
    for (let look = FIRST_LOOK; ; look = Math.min(LAST_LOOK, look * 2)) {
      const began = this.now()
      const fence = this.#parts.local.suspended.fence()
      const reply = await this.#read(key, lease)
      if (reply === undefined) return this.#miss(began, fence)
      if (reply.kind === 'miss') return this.#miss(began, fence, reply.at, reply.time, token)
      let othersFor = reply.kind === 'busy' ? reply.left : Infinity
      if (reply.kind === 'hit') {
        const found = this.#take(key, reply, began, fence)
        if (found === undefined) return this.#skip(began, fence)
        const isFresh = found.freshUntil > this.now()
        if (isFresh && !(isRefresh && found.freshUntil - this.now() <= refreshAhead * reply.ttl)) return found
        if (!isFresh) this.#stale.set(key, this.#staleOf(found))
        // What is there and too old is to be loaded by one process, too.
        if (lease === undefined || (await this.#claim(key, lease))) return this.#skip(began, fence, token)
        othersFor = LAST_LOOK
      }
      if (isRefresh) return { kind: 'refreshed' }
      const left = Math.min(look, othersFor, end - this.now())
      if (left > 0) await new Promise<void>((resolve) => startTimer(left, resolve))
      if (left <= 0 || signal.aborted) return this.#skip(began, fence)
    }
  }

  /** Whether the load of a key is this process' own: no other has it. */
  #claim(key: string, { token, ms }: LeaseRequest): Promise<boolean> {
    const { connection, settings } = this.#parts
    return connection.send(settings.readTimeout, (client) => client.claim(key, token, ms)).catch(() => true)
  }

  /** What Redis answers, if it may be believed. */
  async #read(key: string, lease: LeaseRequest | undefined): Promise<RecordReply | undefined> {
    const { control, connection, breaker, counts, settings, time } = this.#parts
    if (control.pendingCount() > 0 || !connection.isUsable || !breaker.allows()) return undefined
    const seen = control.seen()
    try {
      const reply = await connection.call(settings.readTimeout, (client, check) =>
        client.read(key, { check, lease }),
      )
      breaker.succeeded()
      if (reply.kind === 'miss') {
        time.tell(reply.time, control.time())
        if (reply.reason === 'absent') counts.remoteMisses++
        else counts.remoteRefused++
      }
      // What a replica that was left behind would say; and while a change of this process is missing there, nothing.
      const isOld = reply.at[0] === seen[0] && reply.at[1] < seen[1]
      if (isOld || reply.at[0] !== control.seen()[0] || control.pendingCount() > 0) {
        counts.remoteRefused++
        return undefined
      }
      return reply
    } catch (error) {
      breaker.failed()
      counts.remoteErrors++
      if (error instanceof RecordTimeout) counts.remoteTimeouts++
      return undefined
    }
  }

  /** A value of Redis, fresh or not; `undefined` if it cannot be understood. */
  #take(key: string, reply: RecordHit, began: number, fence: number): Found | undefined {
    const { counts, format, local } = this.#parts
    const stored = storedOf(reply.payload, reply.encoding, format)
    if (stored === undefined) {
      counts.remoteRefused++
      return undefined
    }
    const freshUntil = began + reply.left - reply.grace
    if (freshUntil > this.now()) counts.remoteHits++
    else counts.remoteStale++
    const now = this.now()
    if (!this.isHeld) local.suspended.keep(key, stored, freshUntil - now, now - began, fence, reply.tags)
    return { kind: 'found', stored, freshUntil, grace: reply.grace, tags: reply.tags }
  }

  #staleOf({ stored, freshUntil, tags }: Found): Stale {
    return { stored, since: freshUntil, tags, fence: this.#parts.local.engine.fence() }
  }

  stale(key: string, ms: number): Stored | undefined {
    const found = this.#stale.get(key)
    if (found === undefined || this.now() - found.since > ms) return undefined
    return this.#parts.local.engine.permits(key, found.fence, found.tags) ? found.stored : undefined
  }

  /** What this process keeps while it is suspended. */
  #findKept(key: string): Kept | undefined {
    const { counts, local } = this.#parts
    if (this.isHeld) return undefined
    counts.suspendedReads++
    const stored = local.suspended.find(key)
    if (stored === undefined) return undefined
    const freshUntil = this.now() + local.suspended.left(key)
    return { kind: 'found', stored, freshUntil, grace: 0, tags: [], isKept: true }
  }

  adopt(key: string, found: Found, fence: number): number {
    const { local } = this.#parts
    if ('isKept' in found) {
      // Its tags are not known, so that the cache cannot have it.
      const holds = local.suspended.find(key) !== undefined && local.engine.permits(key, fence)
      return holds ? Outcome.TooLarge : Outcome.Fenced
    }
    return local.store(key, found.stored, found.freshUntil - this.now(), fence, found.tags, found.grace)
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
    if (!this.isHeld) local.suspended.keep(key, stored, life.ttl - age, age, fence, names)
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
