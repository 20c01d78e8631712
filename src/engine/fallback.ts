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
  type SharedCounters,
  type Stored,
} from './engine.js'
import { holdName, sharedUnder } from './names.js'
import { type Namespace, noStats, type StoredKey } from './namespace.js'
import { type Entry, STORE_FORMAT, Store } from './store.js'

/** The engines that their root closes with itself, and which of them this is. */
interface Family {
  readonly views: Set<WeakRef<FallbackEngine>>
  readonly self: WeakRef<FallbackEngine>
}

/** Lets go of what was opened by an engine that is collected without having been closed. */
const abandoned = new FinalizationRegistry<{ leave: (() => void) | undefined; family: Family | undefined }>(
  ({ leave, family }) => {
    family?.views.delete(family.self)
    leave?.()
  },
)

function monotonicMs(): number {
  return Math.floor(performance.now())
}

/**
 * The engine in JavaScript, on the `lru-cache` package. It keeps every rule of the native engine but one:
 * engines of one name are one cache within a thread only. There, all copies of the package whose stores are alike
 * share it.
 */
export class FallbackEngine implements Engine {
  readonly kind = 'js'
  readonly settings: EngineSettings
  readonly format: number
  readonly #name: string | undefined
  #open: Store | undefined
  readonly #namespace: Namespace
  /** The namespaces that were made from this engine and are open. */
  readonly #views = new Set<WeakRef<FallbackEngine>>()
  /** Where this is listed, if it is a namespace. */
  readonly #family: Family | undefined
  /** Gives the name back. */
  #leave: (() => void) | undefined

  /** `now` is a monotonic clock in whole ms, for tests. */
  constructor(
    options: EngineOptions,
    now = options.clock ? reader(options.clock) : monotonicMs,
    of?: { root: FallbackEngine; namespace: string },
  ) {
    if (of !== undefined) {
      const store = of.root.#store
      this.#name = of.root.#name
      this.#namespace = store.namespaces.of(of.namespace)
      this.settings = store.settings
      this.format = store.format
      this.#family = { views: of.root.#views, self: new WeakRef<FallbackEngine>(this) }
      this.#family.views.add(this.#family.self)
      this.#enter(store)
      return
    }
    checkPrivate(options)
    // Before anything is open: a clock may throw.
    now()
    this.#name = options.name
    const name = this.#name
    const shared = name === undefined ? undefined : sharedUnder(name, 'js', STORE_FORMAT)
    const found = shared as Store | undefined
    const store = found ?? new Store(options, now)
    this.settings = store.settings
    this.format = store.format
    const contradiction = found && conflict(options, this)
    if (contradiction) throw new CacheError('ERR_CACHE_OPTIONS_CONFLICT', contradiction)
    this.#namespace = store.namespaces.root
    this.#enter(store)
  }

  #enter(store: Store): void {
    if (this.#name !== undefined) this.#leave = holdName(this.#name, 'js', STORE_FORMAT, store)
    this.#open = store
    abandoned.register(this, { leave: this.#leave, family: this.#family }, this)
  }

  get #store(): Store {
    if (this.#open === undefined) throw new CacheError('ERR_CACHE_CLOSED', 'the cache is closed')
    return this.#open
  }

  /** `key` as the store knows it. */
  #at(key: string): StoredKey {
    return this.#namespace.at(key)
  }

  namespace(name: string): FallbackEngine {
    return new FallbackEngine({}, undefined, { root: this, namespace: name })
  }

  get(key: string): Stored | undefined {
    return out(this.use(key))
  }

  peek(key: string): Stored | undefined {
    return out(this.find(key))
  }

  near<V>(options: NearOptions, decode: Decode<V>): Near<V> {
    return new KeptValues(this, decode, options)
  }

  /** The entry that `get` reads, counted and used as by it. */
  use(key: string): Entry | undefined {
    return this.#store.use(this.#namespace, key)
  }

  /** The entry that `peek` reads. */
  find(key: string): Entry | undefined {
    return this.#store.find(this.#at(key))
  }

  countNearHit(): void {
    this.#store.count('nearHits', this.#namespace)
  }

  take(key: string): Stored | undefined {
    return out(this.#store.remove(this.#at(key)))
  }

  has(key: string): boolean {
    return this.find(key) !== undefined
  }

  set(
    key: string,
    value: Stored,
    ttl?: number,
    fence?: number,
    tags?: readonly string[],
    grace?: number,
  ): number {
    return this.#store.set(this.#namespace, key, value, ttl, fence, tags, grace)
  }

  setIfAbsent(key: string, value: Stored, ttl?: number, tags?: readonly string[], grace?: number): number {
    return this.#store.setIfAbsent(this.#namespace, key, value, ttl, tags, grace)
  }

  touch(key: string, ttl?: number): boolean {
    return this.#store.touch(this.#at(key), ttl)
  }

  peekFenced(key: string): [Stored | undefined, number] {
    return [this.peek(key), this.fence()]
  }

  increment(key: string, by: number, ttl?: number): number {
    return this.#store.increment(this.#namespace, key, by, ttl)
  }

  delete(key: string): boolean {
    return this.#store.remove(this.#at(key)) !== undefined
  }

  remainingTtl(key: string): number {
    const entry = this.find(key)
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
    for (const { bareKey } of this.#store.all(this.#namespace)) {
      // It may have gone since.
      if (this.has(bareKey)) yield bareKey
    }
  }

  purge(budget: number): PurgeSlice {
    return this.#store.purge(budget)
  }

  clear(): void {
    const store = this.#store
    if (this.#namespace.number === 0) store.clear()
    else store.clearNamespace(this.#namespace)
  }

  size(): number {
    const store = this.#store
    return this.#namespace.number === 0 ? store.size : this.#namespace.entries
  }

  bytes(): number {
    const store = this.#store
    return this.#namespace.number === 0 ? store.bytes : this.#namespace.bytes
  }

  fence(): number {
    return this.#store.versions.now
  }

  permits(key: string, fence: number, tags?: readonly string[]): boolean {
    return this.#store.permits(fence, this.#namespace, key, tags)
  }

  claim(key: string, timeout: number, tags?: readonly string[]): [number, number] | undefined {
    const store = this.#store
    const now = store.now()
    const fence = store.versions.now
    // A caller must not wait for a load that a change of its own tags has overtaken.
    const isCurrent = (held: number, heldTags: readonly string[] | undefined) =>
      store.permits(held, this.#namespace, key, heldTags) && store.versions.tagsUnchanged(held, tags)
    const claim = { key: this.#at(key), owner: this, now, ends: now + timeout, tags, fence }
    const lease = store.leases.claim(claim, isCurrent)
    return lease === undefined ? undefined : [lease, fence]
  }

  settle(key: string, lease: number): boolean {
    return this.#store.leases.settle(this.#at(key), lease)
  }

  leases(): number {
    const { leases, now } = this.#store
    const isOne = this.#namespace.number === 0 ? () => true : (key: string) => this.#namespace.has(key)
    return leases.underWay(now(), isOne)
  }

  getStale(key: string): [Stored, number] | undefined {
    const entry = this.#store.kept(this.#at(key))
    if (entry === undefined) return undefined
    const late = this.#store.now() - entry.freshUntil
    return [out(entry) as Stored, late < 0 ? 0 : Math.max(1, late)]
  }

  isDue(key: string, part: number): boolean {
    const entry = this.find(key)
    if (entry === undefined || entry.freshUntil === Infinity || entry.ttl === Infinity) return false
    return entry.freshUntil - this.#store.now() <= entry.ttl * part
  }

  invalidateTag(tag: string): void {
    this.#store.versions.invalidateTag(tag)
  }

  stats(): EngineStats {
    const store = this.#store
    return { ...(this.#namespace.number === 0 ? store : this.#namespace).stats }
  }

  resetStats(): void {
    const store = this.#store
    ;(this.#namespace.number === 0 ? store : this.#namespace).stats = noStats()
  }

  counters(group: string, size: number): SharedCounters {
    this.#store.counters.ensure(group, size)
    const of = () => this.#store.counters
    return {
      add: (deltas) => of().add(group, deltas),
      read: () => of().read(group),
      reset: () => of().reset(group),
    }
  }

  close(): void {
    const store = this.#open
    if (store === undefined) return
    this.#open = undefined
    abandoned.unregister(this)
    this.#family?.views.delete(this.#family.self)
    for (const view of this.#views) view.deref()?.close()
    store.leases.release(this)
    this.#leave?.()
  }
}

/** What the caller gets: text as it is, bytes as a copy of its own. */
function out(entry: Entry | undefined): Stored | undefined {
  const value = entry?.value
  return value instanceof Uint8Array ? new Uint8Array(value) : value
}
