import { channel } from 'node:diagnostics_channel'
import type { Change, Tier, TierEntry, TierFence, TierHost } from '../cache/tier.js'
import type { TierTotals } from '../cache/tier-counts.js'
import type { TierHealth, TierMessage, TierState } from '../cache/tier-health.js'
import { CacheError, wrongType } from '../common/errors.js'
import { startTimer } from '../common/timers.js'
import type { TierControl } from '../engine/capabilities.js'
import type { Engine } from '../engine/engine.js'
import type { Stored } from '../engine/stored.js'
import type { Missing } from '../loading/second-tier.js'
import { Breaker } from './breaker.js'
import { Changes } from './changes.js'
import { portsOf } from './clients/connect.js'
import type { RedisConnect, RedisRole } from './clients/port.js'
import { Connection } from './connection.js'
import { noCounts, type TierCounts, TotalCounts } from './counts.js'
import { Fills } from './fills.js'
import { Follower } from './follower.js'
import { LocalValues } from './local.js'
import { type EntryKind, keysOf } from './names.js'
import { namespaceOf, type TierSettings } from './options.js'
import { Missed, Reads } from './reads.js'
import { RecordClient } from './record-client.js'
import { Remote } from './remote.js'
import { ServerTime } from './server-time.js'
import { SuspendedValues } from './suspended.js'

/** Ms after which a command compares the identity of the server. */
const CHECK_EVERY = 250
/** The most ms between two confirmations of what is served. */
const LONGEST_BEAT = 500
/** Ms that a reconnect may take to attach. */
const ATTACH_TIMEOUT = 2_000
/** Ms between two looks of those who wait until it is ready. */
const LOOK_EVERY = 10

const messages = channel('sark-cache:tier')

let hasWarned = false

/** Warns once of a server that may evict the record: that is safe, and empties the namespace each time. */
function warnOfEviction(policy: string | undefined): void {
  if (hasWarned || policy?.startsWith('allkeys-') !== true) return
  hasWarned = true
  process.emitWarning(
    `Redis has the memory policy ${policy}: where memory is short it may evict the record of changes of a namespace, ` +
      'which then begins empty again. noeviction or volatile-lru leave it alone.',
    { type: 'SarkCacheWarning', code: 'SARK_CACHE_EVICTION' },
  )
}

/** Redis or Valkey behind a cache of this thread. */
export class RemoteTier implements Tier {
  readonly #settings: TierSettings
  readonly #namespace: string
  readonly #kind: EntryKind
  readonly #control: TierControl
  readonly #local: LocalValues
  readonly #connect: RedisConnect
  readonly #data: Connection
  readonly #breaker: Breaker
  readonly #changes: Changes
  readonly #follower: Follower
  readonly #beat: number
  readonly #time = new ServerTime()
  readonly #reads: Reads
  readonly #counts: TierCounts = noCounts()
  readonly #totals: TotalCounts
  #confirmedAt = Number.NaN
  #state: TierState = 'connecting'
  #timer: NodeJS.Timeout | undefined
  readonly second: Remote

  constructor(settings: TierSettings, host: TierHost, engine: Engine) {
    const namespace = namespaceOf(settings, host.name)
    const control = engine.tier as TierControl
    this.#settings = settings
    this.#namespace = namespace
    this.#kind = host.kind === 'policy' ? 'policy' : 'cache'
    this.#control = control
    this.#totals = new TotalCounts(engine)
    this.#beat = Math.min(LONGEST_BEAT, settings.maxStaleness / 4)
    this.#connect = portsOf(settings.redis, keysOf(namespace).newer)
    const { max, maxEntrySize, maxSize } = engine.settings
    const suspended = new SuspendedValues(host.engineName, engine.kind, max, settings.maxStaleness)
    this.#local = new LocalValues(host, engine, suspended, settings.localTtl)
    this.#breaker = new Breaker(
      () => control.time(),
      (state) => this.#tell('breaker', state),
    )
    this.#data = this.#open('data')
    const time = this.#time
    const shared = {
      control,
      connection: this.#data,
      local: this.#local,
      counts: this.#counts,
      time,
      settings,
    }
    const mostBytes = Math.min(maxEntrySize, maxSize)
    const { format } = engine
    const fills = new Fills({
      ...shared,
      breaker: this.#breaker,
      timeout: settings.writeTimeout,
      format,
      mostBytes,
    })
    this.#reads = new Reads({ ...shared, breaker: this.#breaker, format })
    this.second = new Remote({ ...shared, reads: this.#reads, fills })
    this.#changes = new Changes({
      ...shared,
      fills,
      onPending: (reason) => this.#tell('pending', reason),
      onDelivered: () => this.#tell('delivered', undefined),
    })
    this.#follower = new Follower({
      control,
      local: this.#local,
      counts: this.#counts,
      maxStaleness: settings.maxStaleness,
      beat: this.#beat,
      connect: () => this.#open('follow'),
      onCleared: (reason) => this.#tell('cleared', reason),
      onMemoryPolicy: warnOfEviction,
      onConfirmed: () => this.#onConfirmed(),
    })
    this.#look()
  }

  #open(role: RedisRole): Connection {
    const port = this.#connect(role)
    return new Connection(port, new RecordClient(port, this.#namespace, undefined, this.#kind), {
      control: this.#control,
      checkEvery: Math.min(CHECK_EVERY, this.#beat),
      attachTimeout: ATTACH_TIMEOUT,
      onAttached: () => this.#tell('attached', undefined),
      onTime: (time) => this.#time.tell(time, this.#control.time()),
      onGone: (reason) => this.#tell('gone', reason),
    })
  }

  #tell(type: TierMessage['type'], reason: unknown): void {
    if (!messages.hasSubscribers) return
    messages.publish({ type, namespace: this.#namespace, reason } satisfies TierMessage)
  }

  /** Sees from time to time to it that a thread follows, and whether the lease is held. */
  #look(): void {
    this.#follower.tryToFollow()
    if (this.#control.pendingCount() > 0 && this.#follower.isFollowing) void this.#changes.deliver()
    this.#noteState()
    this.#totals.add(this.#counts)
    this.#timer = startTimer(this.#beat, () => this.#look())
  }

  #noteState(): void {
    const isHeld = this.#reads.isHeld
    if (isHeld && this.#state !== 'ok') {
      if (this.#state === 'suspended') this.#tell('resumed', undefined)
      this.#state = 'ok'
    } else if (!isHeld && this.#state === 'ok') {
      this.#state = 'suspended'
      this.#tell('suspended', this.#data.error)
    }
  }

  #onConfirmed(): void {
    // What was kept meanwhile is not needed any more.
    if (!this.#reads.isHeld) this.#local.suspended.clear()
    this.#confirmedAt = this.#control.time()
    queueMicrotask(() => {
      if (this.#state !== 'closed') this.#noteState()
    })
  }

  change(changes: readonly Change[]): Promise<void> {
    return this.#changes.change(changes)
  }

  write(entry: TierEntry): Promise<boolean> {
    return this.#changes.write(entry)
  }

  fill(entry: TierEntry, fence: TierFence): boolean {
    if (fence.owner !== this) throw wrongType('fence must be what fence() of this cache returned')
    return this.second.fill(entry, fence)
  }

  /** Whether what this process holds may be served, and Redis may be asked for the rest. */
  get canAsk(): boolean {
    return this.#data.isUsable && this.#reads.isHeld
  }

  async get(
    key: string,
    accepts: (stored: Stored) => boolean,
    onMiss?: (missing: Missing) => void,
  ): Promise<Stored | undefined> {
    const found = await this.#reads.get(key, accepts)
    if (!(found instanceof Missed)) return found
    onMiss?.(found)
    return undefined
  }

  fence(): TierFence {
    const [epoch, sequence] = this.#control.seen()
    return { owner: this, local: this.#local.engine.fence(), epoch, sequence, at: this.#control.time() }
  }

  get state(): TierState {
    if (this.#state !== 'closed') this.#noteState()
    return this.#state
  }

  /** Resolves when reads are answered. @throws The reason of `signal`; `ERR_CACHE_CLOSED`. */
  async ready(signal: AbortSignal | undefined): Promise<void> {
    for (;;) {
      signal?.throwIfAborted()
      const { state } = this
      if (state === 'ok') return
      if (state === 'closed') throw new CacheError('ERR_CACHE_CLOSED', 'the cache was closed')
      // It holds the process: somebody waits.
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY))
    }
  }

  counts(): TierCounts {
    return { ...this.#counts, clears: { ...this.#counts.clears } }
  }

  resetCounts(): void {
    this.#totals.add(this.#counts)
    Object.assign(this.#counts, noCounts())
    this.#totals.restart()
  }

  totals(): TierTotals {
    this.#totals.add(this.#counts)
    const counts = this.#totals.read()
    const heldForMs = Math.max(0, this.#control.heldUntil() - this.#control.time())
    return { counts, pending: this.#control.pendingCount(), heldForMs, breaker: this.#breaker.state }
  }

  health(): TierHealth {
    const isClosed = this.#state === 'closed'
    const control = this.#control
    const [epoch, sequence] = isClosed ? [0, 0] : control.seen()
    const now = isClosed ? 0 : control.time()
    const pending = isClosed ? 0 : control.pendingCount()
    const heldForMs = isClosed ? 0 : Math.max(0, control.heldUntil() - now)
    const isWell = heldForMs > 0 && this.#breaker.state === 'closed' && pending === 0
    const follower = this.#follower.isFollowing
    return {
      status: isClosed ? 'failed' : isWell ? 'ok' : 'degraded',
      lease: {
        heldForMs,
        confirmedAgeMs: follower && !isClosed ? now - this.#confirmedAt : undefined,
        epoch,
        sequence,
        follower,
      },
      redis: { state: this.#breaker.state, attached: this.#data.isUsable, rttMs: this.#data.rttMs },
      pending,
      error: this.#data.error,
    }
  }

  /** Delivers what is pending, for `writeTimeout` at most, and ends. */
  async end(): Promise<void> {
    if (this.#state === 'closed') return
    await this.#changes.deliverWithin(this.#settings.writeTimeout)
    this.close()
  }

  close(): void {
    if (this.#state === 'closed') return
    this.#totals.add(this.#counts)
    this.#state = 'closed'
    clearTimeout(this.#timer)
    this.#changes.close()
    this.#follower.close()
    this.#data.close()
    this.#local.suspended.close()
  }
}
