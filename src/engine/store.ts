import type { Heap } from 'heap-js'
import type { LRUCache } from 'lru-cache'
import { CounterGroups } from './counters.js'
import {
  type EngineOptions,
  type EngineSettings,
  type EngineStats,
  Outcome,
  type PurgeSlice,
  type Stored,
} from './engine.js'
import { Leases } from './leases.js'
import { DEFAULT_MAX, ENTRY_OVERHEAD, MAX_GRACE, MAX_TTL } from './limits.js'
import { type Namespace, Namespaces, noStats, type StoredKey } from './namespace.js'
import { notANumber, notFinite, parseNumber } from './number.js'
import { Versions } from './versions.js'

/** The largest `max` for which the `lru-cache` package may set memory aside. */
const PREALLOCATED = 2 ** 20

/** Tags from which on the native engine writes their number into a word of its own. */
const MORE_TAGS = 15

export interface Entry {
  readonly key: StoredKey
  readonly namespace: Namespace
  /** The key within its namespace. */
  readonly bareKey: string
  readonly value: Stored
  readonly size: number
  /** The ms of the clock from which on the entry is stale; `Infinity` for one that does not expire. */
  freshUntil: number
  /** The ms of the clock from which on the entry is gone, its grace included. */
  deadline: number
  /** For how many ms before its deadline the entry is stale. */
  readonly grace: number
  /** The place among the deadlines that is good for the entry; no later than `deadline`. */
  due: Due | undefined
  /** The sequence number up to which the tags are known to be unchanged. */
  fence: number
  /** The sequence number of the change that put the entry in. */
  readonly written: number
  /** The TTL in ms that it was stored with. */
  readonly ttl: number
  readonly tags: readonly string[] | undefined
}

/** When to look whether an entry has expired. */
interface Due {
  readonly at: number
  readonly entry: Entry
}

const WIDE = /[^\0-\xff]/

/** The bytes of a string as the native engine stores it: one a unit, or two if any unit needs two. */
function textSize(text: string): number {
  return WIDE.test(text) ? text.length * 2 : text.length
}

/** How an entry leaves by its key. */
type Removal = 'expirations' | 'invalidations' | 'deletes'

/**
 * The number of what copies of the package find in each other's stores. It changes whenever a copy of before could not
 * use a {@link Store} of now, or the other way round.
 */
export const STORE_FORMAT = 1

/** What the fallback engines of one name in one thread share: entries, order, deadlines, versions, leases. */
export class Store {
  readonly settings: EngineSettings
  /** How the wrapper encodes values. */
  readonly format: number
  readonly versions: Versions
  readonly namespaces = new Namespaces()
  readonly leases = new Leases()
  readonly counters = new CounterGroups()
  readonly now: () => number
  stats = noStats()
  readonly #entries: LRUCache<StoredKey, Entry>
  /** Deadlines. Those of what was replaced, removed or put off stay until they come up or are too many. */
  readonly #deadlines: Heap<Due>
  /** Entries that were counted out when their namespace was cleared, and are still here. */
  #leftovers = 0
  /** Why the next eviction happens. */
  #evictingFor: 'evictionsByMax' | 'evictionsByMaxSize' = 'evictionsByMaxSize'

  constructor(options: EngineOptions, now: () => number) {
    const { max, maxSize, maxEntrySize, ttl } = options
    const unbounded = max === undefined && maxSize === undefined
    this.settings = {
      max: max ?? (unbounded ? DEFAULT_MAX : Infinity),
      maxSize: maxSize ?? Infinity,
      maxEntrySize: maxEntrySize ?? Infinity,
      ttl: ttl ?? Infinity,
      policy: options.policy ?? 'lru',
      updateAgeOnGet: options.updateAgeOnGet ?? false,
    }
    this.format = options.format ?? 0
    this.versions = new Versions(Math.min(this.settings.max, this.settings.maxSize / ENTRY_OVERHEAD))
    this.now = now
    // Loaded when a store is made: a process on the native engine needs neither.
    const { Heap } = require('heap-js') as typeof import('heap-js')
    const { LRUCache } = require('lru-cache') as typeof import('lru-cache')
    this.#deadlines = new Heap<Due>((a, b) => a.at - b.at)
    this.#entries = new LRUCache<StoredKey, Entry>({
      // The package sets aside memory for `max` entries; a large one is kept by `#makeRoom` alone.
      max: this.settings.max <= PREALLOCATED ? this.settings.max : 0,
      // With no bound of its own the package would not count bytes.
      maxSize: maxSize ?? Number.MAX_SAFE_INTEGER,
      dispose: (entry, key, reason) => {
        if (reason === 'evict') this.#count(this.#evictingFor, entry)
        const { namespace } = entry
        if (this.#isCleared(entry)) {
          this.#leftovers--
        } else if (namespace.number !== 0) {
          namespace.entries--
          namespace.bytes -= entry.size
        }
        // A value older than the one that goes must not come after it.
        if (reason !== 'set') this.versions.remember(key, entry.written)
      },
    })
  }

  get size(): number {
    return this.#entries.size
  }

  get bytes(): number {
    return this.#entries.calculatedSize
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
    if (!this.versions.tagsUnchanged(entry.fence, entry.tags)) return true
    // The next read asks again only after another invalidation.
    entry.fence = Math.max(entry.fence, this.versions.lastTag)
    return false
  }

  #isReadable(entry: Entry): boolean {
    return entry.freshUntil > this.now() && !this.#isInvalidated(entry) && !this.#isCleared(entry)
  }

  /** What the removal of an entry by its key counts as. */
  #removal(entry: Entry): Removal {
    if (entry.freshUntil <= this.now()) return 'expirations'
    return this.#isInvalidated(entry) ? 'invalidations' : 'deletes'
  }

  /** The entry under `key`, stale or not; one that can not be read any more is removed. */
  kept(key: StoredKey): Entry | undefined {
    const entry = this.#entries.peek(key)
    if (entry === undefined) return undefined
    const isExpired = entry.deadline <= this.now()
    if (!isExpired && !this.#isInvalidated(entry) && !this.#isCleared(entry)) return entry
    this.#entries.delete(key)
    this.#count(isExpired ? 'expirations' : 'invalidations', entry)
    return undefined
  }

  /** The readable entry under `key`. */
  find(key: StoredKey): Entry | undefined {
    const entry = this.kept(key)
    return entry !== undefined && entry.freshUntil > this.now() ? entry : undefined
  }

  use(namespace: Namespace, bareKey: string): Entry | undefined {
    const key = namespace.at(bareKey)
    const entry = this.find(key)
    if (entry !== undefined) {
      this.#entries.get(key)
      if (this.settings.updateAgeOnGet) this.#slide(entry)
    }
    this.count(entry === undefined ? 'misses' : 'hits', namespace)
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
    const entry = this.find(key)
    if (entry === undefined) return false
    const freshUntil = this.now() + Math.ceil(ttl ?? entry.ttl)
    entry.freshUntil = freshUntil
    entry.deadline = freshUntil + entry.grace
    this.#schedule(entry)
    // As on the native engine, where copies are told of it.
    this.versions.write()
    this.#entries.get(key)
    return true
  }

  setIfAbsent(
    namespace: Namespace,
    bareKey: string,
    value: Stored,
    ttl: number | undefined,
    tags: readonly string[] | undefined,
    grace: number | undefined,
  ): number {
    if (this.find(namespace.at(bareKey)) !== undefined) return Outcome.Present
    return this.set(namespace, bareKey, value, ttl, undefined, tags, grace)
  }

  increment(namespace: Namespace, bareKey: string, by: number, ttl: number | undefined): number {
    if (!Number.isFinite(by)) throw notFinite(bareKey)
    const key = namespace.at(bareKey)
    const old = this.find(key)
    if (old === undefined) {
      this.set(namespace, bareKey, JSON.stringify(by), ttl, undefined, undefined, undefined)
      return by
    }
    const number = parseNumber(old.value)
    if (number === undefined) throw notANumber(bareKey)
    const sum = number + by
    if (!Number.isFinite(sum)) throw notFinite(bareKey)
    const value = JSON.stringify(sum)
    const size = old.size - textSize(old.value as string) + textSize(value)
    const { maxEntrySize, maxSize } = this.settings
    if (size > Math.min(maxEntrySize, maxSize)) {
      this.remove(key)
      this.count('rejections', namespace)
      return sum
    }
    const sequence = this.versions.write()
    this.#store({
      ...old,
      value,
      size,
      fence: sequence,
      written: sequence,
      due: undefined,
    })
    return sum
  }

  remove(key: StoredKey): Entry | undefined {
    this.versions.removeKey(key)
    const entry = this.#entries.peek(key)
    if (entry === undefined) return undefined
    const removal = this.#removal(entry)
    this.#entries.delete(key)
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
    const asked = ttl ?? this.settings.ttl
    const life = asked > MAX_TTL ? Infinity : asked
    const valueSize = typeof value === 'string' ? textSize(value) : value.byteLength
    const kept = life === Infinity || grace === undefined ? 0 : Math.min(Math.floor(grace), MAX_GRACE)
    const count = tags?.length ?? 0
    const more = Math.max(count >= MORE_TAGS ? 1 : 0, namespace.words)
    const words = more + (count > 0 ? count + 1 : 0) + (kept === 0 ? 0 : 1)
    const size = textSize(bareKey) + valueSize + 4 * words + ENTRY_OVERHEAD
    const fits = size <= Math.min(maxEntrySize, maxSize)
    if (life === 0 || !fits) {
      this.remove(key)
      if (life === 0) return Outcome.Expired
      this.count('rejections', namespace)
      return Outcome.TooLarge
    }
    const sequence = this.versions.write()
    const freshUntil = this.now() + Math.ceil(life)
    this.#store({
      key,
      namespace,
      bareKey,
      value: typeof value === 'string' ? value : new Uint8Array(value),
      size,
      freshUntil,
      deadline: freshUntil + kept,
      grace: kept,
      due: undefined,
      fence: fence ?? sequence,
      written: sequence,
      ttl: Math.ceil(life),
      tags: tags === undefined || tags.length === 0 ? undefined : [...tags],
    })
    return Outcome.Stored
  }

  /** Puts an entry in, in the place of what is under its key. */
  #store(entry: Entry): void {
    const { key, size } = entry
    const old = this.#entries.peek(key)
    if (old !== undefined && old.freshUntil <= this.now()) this.#count('expirations', old)
    this.#makeRoom(old, size, this.settings.max, this.settings.maxSize)
    this.#entries.set(key, entry, { size })
    const { namespace } = entry
    if (namespace.number !== 0) {
      namespace.entries++
      namespace.bytes += size
    }
    this.count('sets', namespace)
    this.#schedule(entry)
  }

  /** Has an entry looked at when its deadline comes. */
  #schedule(entry: Entry): void {
    if (entry.deadline === Infinity) {
      entry.due = undefined
    } else {
      entry.due = { at: entry.deadline, entry }
      this.#deadlines.push(entry.due)
      this.#compact()
    }
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
      namespace.cleared <= fence && this.versions.permits(fence, key, this.#entries.peek(key)?.written, tags)
    )
  }

  /** Lets expired entries go, then for `max` live ones; for `maxSize` the package evicts by itself. */
  #makeRoom(old: Entry | undefined, size: number, max: number, maxSize: number): void {
    const tooMany = () => old === undefined && this.size >= max
    const tooLarge = () => this.bytes - (old?.size ?? 0) + size > maxSize
    while ((tooMany() || tooLarge()) && this.#dropExpired(old)) {
      // One entry fewer each time.
    }
    this.#evictingFor = 'evictionsByMax'
    while (tooMany()) this.#entries.pop()
    this.#evictingFor = 'evictionsByMaxSize'
  }

  /** Removes the entry that expired first, if any has; never `keep`. */
  #dropExpired(keep?: Entry): boolean {
    for (;;) {
      const due = this.#deadlines.peek()
      if (due === undefined || due.at > this.now()) return false
      this.#deadlines.pop()
      const { entry } = due
      if (entry === keep || !this.#isGood(due)) continue
      if (entry.deadline > this.now()) {
        this.#schedule(entry)
        continue
      }
      this.#entries.delete(entry.key)
      this.#count('expirations', entry)
      return true
    }
  }

  #isGood(due: Due): boolean {
    return due.entry.due === due && this.#entries.peek(due.entry.key) === due.entry
  }

  #compact(): void {
    if (this.#deadlines.length <= 2 * this.size + 64) return
    this.#deadlines.init(this.#deadlines.toArray().filter((due) => this.#isGood(due)))
  }

  purge(budget: number): PurgeSlice {
    let removed = 0
    while (removed < budget) {
      if (!this.#dropExpired()) return { removed, done: true }
      removed++
    }
    const next = this.#deadlines.peek()
    return { removed, done: next === undefined || next.at > this.now() }
  }

  clear(): void {
    this.versions.clear()
    this.stats.cleared += this.size - this.#leftovers
    this.namespaces.clear(this.versions.now)
    this.#entries.clear()
    this.#leftovers = 0
    this.#deadlines.clear()
  }

  /** Empties a namespace in constant time; its entries stay until they are overwritten or leave. */
  clearNamespace(namespace: Namespace): void {
    const count = namespace.clear(this.versions.write())
    this.#leftovers += count
    this.stats.cleared += count
  }

  /** The readable entries of a namespace at this moment. */
  all(namespace: Namespace): Entry[] {
    const isOne = (entry: Entry) => entry.namespace === namespace && this.#isReadable(entry)
    return [...this.#entries.values()].filter(isOne)
  }
}
