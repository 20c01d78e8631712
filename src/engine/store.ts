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
import { DEFAULT_MAX, ENTRY_OVERHEAD, MAX_GRACE } from './limits.js'
import { type Namespace, Namespaces, noStats, type StoredKey } from './namespace.js'
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
  readonly freshUntil: number
  /** The ms of the clock from which on the entry is gone, its grace included. */
  readonly deadline: number
  readonly fence: number
  /** The sequence number of the change that put the entry in. */
  readonly written: number
  /** Ms from its insertion to the end of its TTL. */
  readonly ttl: number
  readonly tags: readonly string[] | undefined
  /** What a wrapper made of `value`, as long as one keeps it. */
  decoded?: unknown
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
  readonly versions = new Versions()
  readonly namespaces = new Namespaces()
  readonly leases = new Leases()
  readonly counters = new CounterGroups()
  readonly now: () => number
  stats = noStats()
  readonly #entries: LRUCache<StoredKey, Entry>
  /** Entries by deadline. Those that were replaced or removed stay until they come up or are too many. */
  readonly #deadlines: Heap<Entry>
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
    }
    this.format = options.format ?? 0
    this.now = now
    // Loaded when a store is made: a process on the native engine needs neither.
    const { Heap } = require('heap-js') as typeof import('heap-js')
    const { LRUCache } = require('lru-cache') as typeof import('lru-cache')
    this.#deadlines = new Heap<Entry>((a, b) => a.deadline - b.deadline)
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
    return !this.versions.tagsUnchanged(entry.fence, entry.tags)
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
    if (entry !== undefined) this.#entries.get(key)
    this.count(entry === undefined ? 'misses' : 'hits', namespace)
    return entry
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
    const { max, maxSize, maxEntrySize } = this.settings
    const life = ttl ?? this.settings.ttl
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
    const entry: Entry = {
      key,
      namespace,
      bareKey,
      value: typeof value === 'string' ? value : new Uint8Array(value),
      size,
      freshUntil,
      deadline: freshUntil + kept,
      fence: fence ?? sequence,
      written: sequence,
      ttl: life,
      tags: tags === undefined || tags.length === 0 ? undefined : [...tags],
    }
    const old = this.#entries.peek(key)
    if (old !== undefined && old.freshUntil <= this.now()) this.#count('expirations', old)
    this.#makeRoom(old, size, max, maxSize)
    this.#entries.set(key, entry, { size })
    if (namespace.number !== 0) {
      namespace.entries++
      namespace.bytes += size
    }
    this.count('sets', namespace)
    if (entry.deadline !== Infinity) {
      this.#deadlines.push(entry)
      this.#compact()
    }
    return Outcome.Stored
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
      const first = this.#deadlines.peek()
      if (first === undefined || first.deadline > this.now()) return false
      this.#deadlines.pop()
      if (first === keep || this.#entries.peek(first.key) !== first) continue
      this.#entries.delete(first.key)
      this.#count('expirations', first)
      return true
    }
  }

  #compact(): void {
    if (this.#deadlines.length <= 2 * this.size + 64) return
    const current = this.#deadlines.toArray().filter((entry) => this.#entries.peek(entry.key) === entry)
    this.#deadlines.init(current)
  }

  purge(budget: number): PurgeSlice {
    let removed = 0
    while (removed < budget) {
      if (!this.#dropExpired()) return { removed, done: true }
      removed++
    }
    const next = this.#deadlines.peek()
    return { removed, done: next === undefined || next.deadline > this.now() }
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
