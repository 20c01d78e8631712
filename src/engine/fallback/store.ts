import type { EngineSettings } from '../../common/settings.js'
import { type EngineOptions, type EngineStats, noStats, Outcome } from '../engine.js'
import { ENTRY_OVERHEAD, MAX_GRACE, MAX_TIERED_TTL, MAX_TTL } from '../limits.js'
import type { Stored } from '../stored.js'
import { chargeOf } from './charge.js'
import { CounterGroups } from './counters.js'
import { Entries, type Entry } from './entries.js'
import { Fences } from './fences.js'
import { Leases } from './leases.js'
import { type Namespace, Namespaces, type StoredKey } from './namespaces.js'
import { settingsOf } from './settings.js'
import { TierState } from './tier-control.js'

/** How an entry leaves by its key. */
type Removal = 'expirations' | 'invalidations' | 'deletes'

/**
 * The number of what copies of the package find in each other's stores. It changes whenever a copy of before could not
 * use a {@link Store} of now, or the other way round.
 */
export const STORE_FORMAT = 3

/** What the fallback engines of one name in one thread share: entries, order, deadlines, versions, leases. */
export class Store {
  readonly settings: EngineSettings
  /** How the wrapper encodes values. */
  readonly format: number
  readonly fences: Fences
  readonly namespaces = new Namespaces()
  readonly leases = new Leases()
  readonly counters = new CounterGroups()
  /** `undefined` where there is no second tier. */
  readonly tier: TierState | undefined
  readonly now: () => number
  stats = noStats()
  readonly entries: Entries
  /** Entries that were counted out when their namespace was cleared, and are still here. */
  #leftovers = 0

  constructor(options: EngineOptions, now: () => number) {
    this.settings = settingsOf(options)
    this.format = options.format ?? 0
    this.fences = new Fences(Math.min(this.settings.max, this.settings.maxSize / ENTRY_OVERHEAD))
    this.now = now
    this.tier = options.tiered ? new TierState(now) : undefined
    this.entries = new Entries(this.settings.max, this.settings.maxSize, now, {
      onDrop: (entry, cause) => this.#count(cause, entry),
      onGone: (entry, isReplaced) => this.#onGone(entry, isReplaced),
    })
  }

  #onGone(entry: Entry, isReplaced: boolean): void {
    const { namespace } = entry
    if (this.#isCleared(entry)) {
      this.#leftovers--
    } else if (namespace.number !== 0) {
      namespace.entries--
      namespace.bytes -= entry.size
    }
    // A value older than the one that goes must not come after it.
    if (!isReplaced) this.fences.remember(entry.key, entry.written)
  }

  /** Counts what happened to an entry, unless it was counted when its namespace was cleared. */
  #count(event: 'evictionsByMax' | 'evictionsByMaxSize' | Removal, entry: Entry): void {
    if (this.#isCleared(entry)) return
    this.count(event, entry.namespace)
  }

  /** Counts an event of a namespace. */
  count(event: keyof EngineStats, namespace: Namespace): void {
    this.stats[event]++
    if (namespace.number !== 0) namespace.count(event)
  }

  #isCleared(entry: Entry): boolean {
    return !entry.namespace.holds(entry.written)
  }

  #isInvalidated(entry: Entry): boolean {
    if (!this.fences.tagsUnchanged(entry.fence, entry.tags)) return true
    // The next read asks again only after another invalidation.
    entry.fence = Math.max(entry.fence, this.fences.lastTag)
    return false
  }

  /** Whether a moment, which may be never, is not in the past. */
  #isAhead(ms: number): boolean {
    return ms === Infinity || ms > this.now()
  }

  #isReadable(entry: Entry): boolean {
    return this.#isAhead(entry.freshUntil) && !this.#isInvalidated(entry) && !this.#isCleared(entry)
  }

  /** What the removal of an entry by its key counts as. */
  #removal(entry: Entry): Removal {
    if (entry.freshUntil <= this.now()) return 'expirations'
    return this.#isInvalidated(entry) ? 'invalidations' : 'deletes'
  }

  get tiered(): boolean {
    return this.tier !== undefined
  }

  /** Whether reads are answered: not while the lease of a second tier is lost. */
  get answers(): boolean {
    return this.tier === undefined || this.tier.isHeld
  }

  /** The entry under `key`, stale or not; one that can not be read any more is removed. */
  findStale(key: StoredKey): Entry | undefined {
    const entry = this.#current(this.entries.peek(key))
    return this.answers ? entry : undefined
  }

  /** The entry, stale or not, unless it can not be read any more. */
  #current(entry: Entry | undefined): Entry | undefined {
    if (entry === undefined) return undefined
    const isExpired = !this.#isAhead(entry.deadline)
    if (!isExpired && !this.#isInvalidated(entry) && !this.#isCleared(entry)) return entry
    this.entries.delete(entry.key)
    this.#count(isExpired ? 'expirations' : 'invalidations', entry)
    return undefined
  }

  /** The readable entry under `key`. */
  find(key: StoredKey): Entry | undefined {
    const entry = this.#findHeld(key)
    return this.answers ? entry : undefined
  }

  /** The entry under `key` that can be read when reads are answered. */
  #findHeld(key: StoredKey): Entry | undefined {
    return this.#fresh(this.entries.peek(key))
  }

  #fresh(found: Entry | undefined): Entry | undefined {
    const entry = this.#current(found)
    if (entry === undefined) return undefined
    return entry.grace === 0 || this.#isAhead(entry.freshUntil) ? entry : undefined
  }

  /** As `find`, counted and used; a stale entry is used as well, for it may be served. */
  use(namespace: Namespace, bareKey: string): Entry | undefined {
    const { answers } = this
    const key = namespace.at(bareKey)
    const entry = this.#fresh(answers ? this.entries.use(key) : this.entries.peek(key))
    if (!answers || entry === undefined) {
      this.count('misses', namespace)
      return undefined
    }
    if (this.settings.updateAgeOnGet) this.#slide(entry)
    this.count('hits', namespace)
    return entry
  }

  /** Renews the TTL of an entry that was read; a deadline that is further away stays. */
  #slide(entry: Entry): void {
    if (entry.ttl === Infinity) return
    const freshUntil = this.now() + entry.ttl
    if (freshUntil <= entry.freshUntil) return
    entry.freshUntil = freshUntil
    // The old place among the deadlines is early, and is moved when it comes up.
    entry.deadline = freshUntil + entry.grace
  }

  touch(key: StoredKey, ttl: number | undefined): boolean {
    if (ttl === 0) return this.remove(key) !== undefined
    const entry = this.#findHeld(key)
    if (entry === undefined) return false
    const freshUntil = this.now() + Math.ceil(this.#lifeOf(ttl ?? entry.ttl))
    entry.freshUntil = freshUntil
    entry.deadline = freshUntil + entry.grace
    this.entries.schedule(entry)
    // As on the native engine, where copies are told of it.
    this.fences.write()
    this.entries.use(key)
    return true
  }

  /** The TTL that is kept of one that was asked for. */
  #lifeOf(ttl: number): number {
    if (this.tier !== undefined) return Math.min(ttl, MAX_TIERED_TTL)
    return ttl > MAX_TTL ? Infinity : ttl
  }

  remove(key: StoredKey): Entry | undefined {
    this.fences.removeKey(key)
    const entry = this.entries.peek(key)
    if (entry === undefined) return undefined
    const removal = this.#removal(entry)
    this.entries.delete(key)
    this.#count(removal, entry)
    return removal === 'deletes' && !this.#isCleared(entry) ? entry : undefined
  }

  set(
    namespace: Namespace,
    bareKey: string,
    value: Stored,
    ttl: number | undefined,
    fence: number | undefined,
    tags: readonly string[] | undefined,
    grace: number | undefined,
  ): number {
    const key = namespace.at(bareKey)
    if (fence !== undefined && !this.permits(fence, namespace, bareKey, tags)) {
      this.count('fenced', namespace)
      return Outcome.Fenced
    }
    const { maxSize, maxEntrySize } = this.settings
    const life = this.#lifeOf(ttl ?? this.settings.ttl)
    const keep = life === Infinity || grace === undefined ? 0 : Math.min(Math.floor(grace), MAX_GRACE)
    const size = chargeOf(bareKey, value, tags?.length ?? 0, keep > 0, namespace.words)
    const fits = size <= Math.min(maxEntrySize, maxSize)
    if (life === 0 || !fits) {
      this.remove(key)
      if (life === 0) return Outcome.Expired
      this.count('rejections', namespace)
      return Outcome.TooLarge
    }
    const sequence = this.fences.write()
    const freshUntil = this.now() + Math.ceil(life)
    this.put({
      key,
      namespace,
      bareKey,
      value: typeof value === 'string' ? value : new Uint8Array(value),
      size,
      freshUntil,
      deadline: freshUntil + keep,
      grace: keep,
      due: undefined,
      copy: undefined,
      fence: fence ?? sequence,
      written: sequence,
      ttl: Math.ceil(life),
      tags: tags === undefined || tags.length === 0 ? undefined : [...tags],
    })
    return Outcome.Stored
  }

  /** Puts an entry in, in the place of what is under its key. */
  put(entry: Entry): void {
    const old = this.entries.peek(entry.key)
    if (old !== undefined && old.freshUntil <= this.now()) this.#count('expirations', old)
    this.entries.put(entry)
    const { namespace } = entry
    if (namespace.number !== 0) {
      namespace.entries++
      namespace.bytes += entry.size
    }
    this.count('sets', namespace)
  }

  /** Whether a load begun at `fence` may still be shared and stored. */
  permits(
    fence: number,
    namespace: Namespace,
    bareKey: string,
    tags: readonly string[] | undefined,
  ): boolean {
    const key = namespace.at(bareKey)
    return (
      namespace.cleared <= fence && this.fences.permits(fence, key, this.entries.peek(key)?.written, tags)
    )
  }

  clear(): void {
    this.fences.clear()
    this.stats.cleared += this.entries.size - this.#leftovers
    this.namespaces.clear(this.fences.now)
    this.entries.clear()
    this.#leftovers = 0
  }

  /** Empties a namespace in constant time; its entries stay until they are overwritten or leave. */
  clearNamespace(namespace: Namespace): void {
    const count = namespace.clear(this.fences.write())
    this.#leftovers += count
    this.stats.cleared += count
  }

  /** The readable entries of a namespace at this moment. */
  all(namespace: Namespace): Entry[] {
    if (!this.answers) return []
    const isOne = (entry: Entry) => entry.namespace === namespace && this.#isReadable(entry)
    return this.entries.values().filter(isOne)
  }
}
