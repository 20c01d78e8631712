import type { Change, TierEntry } from '../cache/tier.js'
import { CacheError } from '../common/errors.js'
import { startTimer } from '../common/timers.js'
import type { Moment, TierControl } from '../engine/capabilities.js'
import { Outcome } from '../engine/engine.js'
import type { Connection } from './connection.js'
import type { TierCounts } from './counts.js'
import type { Fills } from './fills.js'
import { hold, release } from './hold.js'
import { CLEAR, keyChange, type LocalValues, tagChange } from './local.js'
import { wireName } from './names.js'
import type { TierSettings } from './options.js'
import type { ChangeReply } from './record.js'
import type { ServerTime } from './server-time.js'

/** The most names in one change; what is more goes in several. */
const MOST_NAMES = 256
/** Ms between two attempts to deliver what is pending: at first, and at the most. */
const FIRST_RETRY = 50
const LAST_RETRY = 1_000
/** Ms for which changes that were acknowledged are remembered at the least: a failover may lose them. */
const REMEMBERED = 10_000

export interface ChangesParts {
  readonly control: TierControl
  readonly connection: Connection
  readonly local: LocalValues
  readonly fills: Fills
  readonly counts: TierCounts
  readonly time: ServerTime
  readonly settings: TierSettings
  onPending(reason: unknown): void
  onDelivered(): void
}

/** What is changed goes to all processes. The order of the steps is what the promises rest on. */
export class Changes {
  readonly #parts: ChangesParts
  #retry: NodeJS.Timeout | undefined
  #delivering: Promise<void> | undefined
  #retries = 0
  #isClosed = false

  constructor(parts: ChangesParts) {
    this.#parts = parts
  }

  /** @throws `ERR_CACHE_CHANGE_PENDING` */
  async change(changes: readonly Change[]): Promise<void> {
    const names = changes.map(nameOf)
    this.#apply(names)
    const errors: unknown[] = []
    await this.#held(async () => {
      for (let at = 0; at < names.length; at += MOST_NAMES) {
        await this.#changeSome(names.slice(at, at + MOST_NAMES)).catch((error) => errors.push(error))
      }
    })
    if (errors.length > 0) throw errors[0]
  }

  async #changeSome(names: readonly string[]): Promise<void> {
    await this.#send(names, [])
    // Somebody may have read, meanwhile, what Redis had before.
    this.#apply(names)
  }

  /**
   * Changes a key and stores its value, if nobody else changed it, or a tag of it, since.
   *
   * @throws `ERR_CACHE_CHANGE_PENDING`; the value is not stored then.
   */
  write(entry: TierEntry): Promise<boolean> {
    return this.#held(() => this.#write(entry))
  }

  async #write({ key, stored, ttl, tags }: TierEntry): Promise<boolean> {
    const { control, local, fills, time } = this.#parts
    const began = control.time()
    const seen = control.seen()
    local.delete(key)
    const fence = local.engine.fence()
    const name = keyChange(key)
    const names = tags.map(wireName)
    const reply = await this.#send([name], [name, ...names.map(tagChange)])
    time.tell(reply.time, control.time())
    const age = control.time() - began
    const life = ttl ?? local.engine.settings.ttl
    // Nobody changed it after what this process had heard of when the call began.
    const isAlone = reply.at[0] === seen[0] && reply.before <= seen[1]
    const outcome = isAlone ? local.store(key, stored, life - age, fence, names, 0) : Outcome.Fenced
    if (outcome !== Outcome.Stored) local.delete(key)
    local.suspended.delete(key)
    if (!isAlone || outcome === Outcome.TooLarge || life <= 0) return false
    fills.store(key, stored, reply.at, reply.time - age, { ttl: life, grace: 0 }, names)
    return true
  }

  /** Sends a change to Redis. If it is not acknowledged it is pending, here and from now on. */
  async #send(names: readonly string[], compared: readonly string[]): Promise<ChangeReply> {
    const { control, connection, counts, settings } = this.#parts
    try {
      const reply = await connection.call(settings.writeTimeout, (client, check) =>
        client.change(names, compared, check),
      )
      counts.changes++
      this.#remember(reply.at, names)
      return reply
    } catch (cause) {
      if (this.#isClosed) throw new CacheError('ERR_CACHE_CLOSED', 'the cache was closed', { cause })
      control.pend(names)
      counts.pendingAdded += names.length
      this.#apply(names)
      this.#parts.onPending(cause)
      this.#retryLater()
      const message =
        'Redis has not acknowledged a change: it holds in this process, other processes may serve older values ' +
        'until it is delivered, which is tried again and again'
      throw new CacheError('ERR_CACHE_CHANGE_PENDING', message, { cause })
    }
  }

  #remember(at: Moment, names: readonly string[]): void {
    const { control, settings } = this.#parts
    control.acknowledged(at[0], names, Math.max(REMEMBERED, 5 * settings.maxStaleness))
  }

  #apply(names: readonly string[]): void {
    for (const name of names) this.#parts.local.apply(name)
  }

  async #held<T>(work: () => Promise<T>): Promise<T> {
    hold()
    try {
      return await work()
    } finally {
      release()
    }
  }

  #retryLater(): void {
    if (this.#isClosed || this.#retry !== undefined) return
    const wait = Math.min(LAST_RETRY, FIRST_RETRY * 2 ** Math.min(this.#retries++, 10))
    this.#retry = startTimer(wait * (0.5 + Math.random() / 2), () => {
      this.#retry = undefined
      void this.deliver()
    })
  }

  /** Tries to deliver what is pending, of whatever thread. */
  deliver(): Promise<void> {
    this.#delivering ??= this.#deliver().finally(() => {
      this.#delivering = undefined
    })
    return this.#delivering
  }

  /** Tries again and again to deliver what is pending, for `ms` ms at most. */
  async deliverWithin(ms: number): Promise<void> {
    const { control } = this.#parts
    const end = control.time() + ms
    let left = ms
    while (!this.#isClosed && left > 0 && control.pendingCount() > 0) {
      let timer: NodeJS.Timeout | undefined
      // It holds the process: somebody waits.
      const timeUp = new Promise((resolve) => {
        timer = setTimeout(resolve, left)
      })
      await Promise.race([this.deliver(), timeUp])
      clearTimeout(timer)
      if (this.#isClosed || control.pendingCount() === 0) return
      left = end - control.time()
      await new Promise((resolve) => setTimeout(resolve, Math.min(FIRST_RETRY, Math.max(0, left))))
    }
  }

  async #deliver(): Promise<void> {
    const { control, connection, counts, settings } = this.#parts
    while (!this.#isClosed && control.pendingCount() > 0) {
      const [ids, names] = control.pending()
      const some = names.slice(0, MOST_NAMES)
      try {
        const reply = await connection.call(settings.writeTimeout, (client, check) =>
          client.change(some, [], check),
        )
        if (this.#isClosed) return
        this.#remember(reply.at, some)
        control.delivered(ids.slice(0, MOST_NAMES))
        counts.pendingDelivered += some.length
      } catch {
        return this.#retryLater()
      }
    }
    this.#retries = 0
    if (!this.#isClosed) this.#parts.onDelivered()
  }

  close(): void {
    this.#isClosed = true
    clearTimeout(this.#retry)
  }
}

function nameOf(change: Change): string {
  switch (change.kind) {
    case 'key':
      return keyChange(change.key)
    case 'tag':
      return tagChange(wireName(change.tag))
    default:
      return CLEAR
  }
}
