import { CacheError } from '../common/errors.js'
import { KeptValues } from '../near/kept.js'
import type { Decode, Near, NearOptions } from '../near/near.js'
import { checkPrivate, reader } from './clock.js'
import {
  conflict,
  type Engine,
  type EngineOptions,
  type EngineSettings,
  type EngineStats,
  type PurgeSlice,
  type Stored,
} from './engine.js'
import { type Entry, noStats, Store } from './store.js'

/** Named stores of this thread, as long as an engine uses them. */
const named = new Map<string, Store>()

function leave(store: Store, name: string | undefined): void {
  store.users--
  if (store.users === 0 && name !== undefined && named.get(name) === store) named.delete(name)
}

/** Lets go of what was opened by an engine that is collected without having been closed. */
const abandoned = new FinalizationRegistry<{ store: Store; name: string | undefined }>(({ store, name }) => {
  leave(store, name)
})

function monotonicMs(): number {
  return Math.floor(performance.now())
}

/**
 * The engine in JavaScript, on the `lru-cache` package. It keeps every rule of the native engine but one:
 * engines of one name are one cache within a thread only.
 */
export class FallbackEngine implements Engine {
  readonly kind = 'js'
  readonly settings: EngineSettings
  readonly format: number
  readonly #name: string | undefined
  #open: Store | undefined

  /** `now` is a monotonic clock in whole ms, for tests. */
  constructor(options: EngineOptions, now = options.clock ? reader(options.clock) : monotonicMs) {
    checkPrivate(options)
    // Before anything is open: a clock may throw.
    now()
    this.#name = options.name
    const found = this.#name === undefined ? undefined : named.get(this.#name)
    const store = found ?? new Store(options, now)
    this.settings = store.settings
    this.format = store.format
    const contradiction = found && conflict(options, this)
    if (contradiction) throw new CacheError('ERR_CACHE_OPTIONS_CONFLICT', contradiction)
    if (this.#name !== undefined) named.set(this.#name, store)
    store.users++
    this.#open = store
    abandoned.register(this, { store, name: this.#name }, this)
  }

  get #store(): Store {
    if (this.#open === undefined) throw new CacheError('ERR_CACHE_CLOSED', 'the cache is closed')
    return this.#open
  }

  get(key: string): Stored | undefined {
    return out(this.#store.use(key))
  }

  peek(key: string): Stored | undefined {
    return out(this.#store.find(key))
  }

  near<V>(options: NearOptions, decode: Decode<V>): Near<V> {
    return new KeptValues(this, decode, options)
  }

  /** The entry that `get` reads, counted and used as by it. */
  use(key: string): Entry | undefined {
    return this.#store.use(key)
  }

  /** The entry that `peek` reads. */
  find(key: string): Entry | undefined {
    return this.#store.find(key)
  }

  countNearHit(): void {
    this.#store.stats.nearHits++
  }

  take(key: string): Stored | undefined {
    return out(this.#store.remove(key))
  }

  has(key: string): boolean {
    return this.#store.find(key) !== undefined
  }

  set(
    key: string,
    value: Stored,
    ttl?: number,
    fence?: number,
    tags?: readonly string[],
    grace?: number,
  ): number {
    return this.#store.set(key, value, ttl, fence, tags, grace)
  }

  setIfAbsent(key: string, value: Stored, ttl?: number, tags?: readonly string[], grace?: number): number {
    return this.#store.setIfAbsent(key, value, ttl, tags, grace)
  }

  touch(key: string, ttl?: number): boolean {
    return this.#store.touch(key, ttl)
  }

  increment(key: string, by: number, ttl?: number): number {
    return this.#store.increment(key, by, ttl)
  }

  delete(key: string): boolean {
    return this.#store.remove(key) !== undefined
  }

  remainingTtl(key: string): number {
    const entry = this.#store.find(key)
    return entry === undefined ? 0 : entry.freshUntil - this.#store.now()
  }

  getMany(keys: readonly string[]): (Stored | undefined)[] {
    return keys.map((key) => this.get(key))
  }

  hasMany(keys: readonly string[]): boolean[] {
    return keys.map((key) => this.has(key))
  }

  deleteMany(keys: readonly string[]): boolean[] {
    return keys.map((key) => this.delete(key))
  }

  setMany(
    keys: readonly string[],
    values: readonly Stored[],
    ttls: number | undefined | readonly (number | undefined)[],
  ): number[] {
    return keys.map((key, at) => {
      const ttl = typeof ttls === 'object' ? ttls[at] : ttls
      return this.set(key, values[at] as Stored, ttl)
    })
  }

  *keys(): Generator<string, void, undefined> {
    for (const { key } of this.#store.all()) {
      // It may have gone since.
      if (this.has(key)) yield key
    }
  }

  purge(budget: number): PurgeSlice {
    return this.#store.purge(budget)
  }

  clear(): void {
    this.#store.clear()
  }

  size(): number {
    return this.#store.size
  }

  bytes(): number {
    return this.#store.bytes
  }

  fence(): number {
    return this.#store.versions.now
  }

  permits(key: string, fence: number, tags?: readonly string[]): boolean {
    return this.#store.permits(fence, key, tags)
  }

  claim(key: string, timeout: number, tags?: readonly string[]): [number, number] | undefined {
    const store = this.#store
    const now = store.now()
    const fence = store.versions.now
    // A caller must not wait for a load that a change of its own tags has overtaken.
    const isCurrent = (held: number, heldTags: readonly string[] | undefined) =>
      store.permits(held, key, heldTags) && store.versions.tagsUnchanged(held, tags)
    const claim = { key, owner: this, now, ends: now + timeout, tags, fence }
    const lease = store.leases.claim(claim, isCurrent)
    return lease === undefined ? undefined : [lease, fence]
  }

  settle(key: string, lease: number): boolean {
    return this.#store.leases.settle(key, lease)
  }

  leases(): number {
    return this.#store.leases.underWay(this.#store.now())
  }

  getStale(key: string): [Stored, number] | undefined {
    const entry = this.#store.kept(key)
    if (entry === undefined) return undefined
    const late = this.#store.now() - entry.freshUntil
    return [out(entry) as Stored, late < 0 ? 0 : Math.max(1, late)]
  }

  isDue(key: string, part: number): boolean {
    const entry = this.#store.find(key)
    if (entry === undefined || entry.freshUntil === Infinity || entry.ttl === Infinity) return false
    return entry.freshUntil - this.#store.now() <= entry.ttl * part
  }

  invalidateTag(tag: string): void {
    this.#store.versions.invalidateTag(tag)
  }

  stats(): EngineStats {
    return { ...this.#store.stats }
  }

  resetStats(): void {
    this.#store.stats = noStats()
  }

  close(): void {
    const store = this.#open
    if (store === undefined) return
    this.#open = undefined
    abandoned.unregister(this)
    store.leases.release(this)
    leave(store, this.#name)
  }
}

/** What the caller gets: text as it is, bytes as a copy of its own. */
function out(entry: Entry | undefined): Stored | undefined {
  const value = entry?.value
  return value instanceof Uint8Array ? new Uint8Array(value) : value
}
