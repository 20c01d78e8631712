import type { Heap } from 'heap-js'
import type { LRUCache } from 'lru-cache'
import type { PurgeSlice } from '../engine.js'
import type { Stored } from '../stored.js'
import type { Namespace, StoredKey } from './namespaces.js'

/** The largest `max` for which the `lru-cache` package may set memory aside. */
const PREALLOCATED = 2 ** 20

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
  /** See `SourceEntry`. */
  copy: { readonly owner: object; readonly value: unknown } | undefined
}

/** What the caller gets: text as it is, bytes as a copy of its own. */
export function out(entry: Entry | undefined): Stored | undefined {
  const value = entry?.value
  return value instanceof Uint8Array ? new Uint8Array(value) : value
}

/** When to look whether an entry has expired. */
interface Due {
  readonly at: number
  readonly entry: Entry
}

/** Why a live entry is evicted. */
type Eviction = 'evictionsByMax' | 'evictionsByMaxSize'

/** Told of entries that leave. */
interface EntryEvents {
  /** One was evicted, or removed because its time is up. */
  onDrop(entry: Entry, cause: Eviction | 'expirations'): void
  /** One is gone, for whatever reason; `isReplaced` if another one has its key. */
  onGone(entry: Entry, isReplaced: boolean): void
}

/** Entries by key in the order of their use, within their bounds, with their deadlines. */
export class Entries {
  readonly #max: number
  readonly #maxSize: number
  readonly #now: () => number
  readonly #events: EntryEvents
  readonly #entries: LRUCache<StoredKey, Entry>
  /** Deadlines. Those of what was replaced, removed or put off stay until they come up or are too many. */
  readonly #deadlines: Heap<Due>
  /** Why the next eviction happens. */
  #evictingFor: Eviction = 'evictionsByMaxSize'

  /** `Infinity` is no bound. */
  constructor(max: number, maxSize: number, now: () => number, events: EntryEvents) {
    this.#max = max
    this.#maxSize = maxSize
    this.#now = now
    this.#events = events
    // Loaded when entries are to be held: a process on the native engine needs neither.
    const { Heap } = require('heap-js') as typeof import('heap-js')
    const { LRUCache } = require('lru-cache') as typeof import('lru-cache')
    this.#deadlines = new Heap<Due>((a, b) => a.at - b.at)
    this.#entries = new LRUCache<StoredKey, Entry>({
      // The package sets aside memory for `max` entries; a large one is kept by `#makeRoom` alone.
      max: max <= PREALLOCATED ? max : 0,
      // With no bound of its own the package would not count bytes.
      maxSize: maxSize === Infinity ? Number.MAX_SAFE_INTEGER : maxSize,
      dispose: (entry, _key, reason) => {
        if (reason === 'evict') events.onDrop(entry, this.#evictingFor)
        events.onGone(entry, reason === 'set')
      },
    })
  }

  get size(): number {
    return this.#entries.size
  }

  get bytes(): number {
    return this.#entries.calculatedSize
  }

  peek(key: StoredKey): Entry | undefined {
    return this.#entries.peek(key)
  }

  /** As `peek`, and counts the entry as used. */
  use(key: StoredKey): Entry | undefined {
    return this.#entries.get(key)
  }

  delete(key: StoredKey): void {
    this.#entries.delete(key)
  }

  values(): Entry[] {
    return [...this.#entries.values()]
  }

  /** Puts an entry in, in the place of what is under its key. */
  put(entry: Entry): void {
    const { key, size } = entry
    this.#makeRoom(this.#entries.peek(key), size)
    this.#entries.set(key, entry, { size })
    this.schedule(entry)
  }

  /** Has an entry looked at when its deadline comes. */
  schedule(entry: Entry): void {
    if (entry.deadline === Infinity) {
      entry.due = undefined
      return
    }
    entry.due = { at: entry.deadline, entry }
    this.#deadlines.push(entry.due)
    if (this.#deadlines.length <= 2 * this.size + 64) return
    this.#deadlines.init(this.#deadlines.toArray().filter((due) => this.#isGood(due)))
  }

  /** Lets expired entries go, then for `max` live ones; for `maxSize` the package evicts by itself. */
  #makeRoom(old: Entry | undefined, size: number): void {
    const tooMany = () => old === undefined && this.size >= this.#max
    const tooLarge = () => this.bytes - (old?.size ?? 0) + size > this.#maxSize
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
      if (due === undefined || due.at > this.#now()) return false
      this.#deadlines.pop()
      const { entry } = due
      if (entry === keep || !this.#isGood(due)) continue
      if (entry.deadline > this.#now()) {
        this.schedule(entry)
        continue
      }
      this.#entries.delete(entry.key)
      this.#events.onDrop(entry, 'expirations')
      return true
    }
  }

  #isGood(due: Due): boolean {
    return due.entry.due === due && this.#entries.peek(due.entry.key) === due.entry
  }

  purge(budget: number): PurgeSlice {
    let removed = 0
    while (removed < budget) {
      if (!this.#dropExpired()) return { removed, done: true }
      removed++
    }
    const next = this.#deadlines.peek()
    return { removed, done: next === undefined || next.at > this.#now() }
  }

  clear(): void {
    this.#entries.clear()
    this.#deadlines.clear()
  }
}
