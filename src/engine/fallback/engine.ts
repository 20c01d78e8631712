import { CacheError } from '../../common/errors.js'
import { Lifetime } from '../../common/lifetime.js'
import type { EngineSettings } from '../../common/settings.js'
import type {
  EntrySource,
  RecordSlice,
  Restored,
  SharedCounters,
  TierControl,
  WalkedKey,
} from '../capabilities.js'
import {
  type Engine,
  type EngineOptions,
  type EngineStats,
  noStats,
  Outcome,
  type PurgeSlice,
} from '../engine.js'
import { holdName } from '../names.js'
import type { Stored } from '../stored.js'
import { type Entry, out } from './entries.js'
import { increment } from './increment.js'
import type { Namespace, StoredKey } from './namespaces.js'
import { openStore } from './open.js'
import { STORE_FORMAT, type Store } from './store.js'
import { FallbackTierControl, type TierState } from './tier-control.js'
import { fromRecords, toRecords, walk } from './walk.js'

/**
 * The engine in JavaScript, on the `lru-cache` package. It keeps every rule of the native engine but one:
 * engines of one name are one cache within a thread only. There, all copies of the package whose stores are alike
 * share it.
 */
export class FallbackEngine implements Engine, EntrySource {
  readonly kind = 'js'
  readonly settings: EngineSettings
  readonly format: number
  readonly tier: TierControl | undefined
  readonly #name: string | undefined
  #open: Store | undefined
  readonly #namespace: Namespace
  readonly #lifetime: Lifetime

  private constructor(store: Store, name: string | undefined, namespace: Namespace, root?: FallbackEngine) {
    this.settings = store.settings
    this.format = store.format
    this.#name = name
    this.#open = store
    this.#namespace = namespace
    const leave = name === undefined ? undefined : holdName(name, 'js', STORE_FORMAT, store)
    const { tier } = store
    const owner = {}
    this.tier = tier && new FallbackTierControl(() => this.#store.tier as TierState, owner)
    const release = () => {
      leave?.()
      tier?.release(owner)
    }
    this.#lifetime = new Lifetime(this, release, root === undefined ? undefined : root.#lifetime)
  }

  /** @throws `ERR_CACHE_OPTIONS_CONFLICT`; what a clock throws. */
  static open(options: EngineOptions): FallbackEngine {
    const store = openStore(options)
    return new FallbackEngine(store, options.name, store.namespaces.root)
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
    const store = this.#store
    return new FallbackEngine(store, this.#name, store.namespaces.of(name), this)
  }

  get(key: string): Stored | undefined {
    return out(this.use(key))
  }

  peek(key: string): Stored | undefined {
    return out(this.find(key))
  }

  get nearSource(): EntrySource {
    return this
  }

  use(key: string): Entry | undefined {
    return this.#store.use(this.#namespace, key)
  }

  find(key: string): Entry | undefined {
    return this.#store.find(this.#at(key))
  }

  countNearHit(): void {
    this.#store.count('nearHits', this.#namespace)
  }

  take(key: string): Stored | undefined {
    const store = this.#store
    const removed = store.remove(this.#at(key))
    return store.answers ? out(removed) : undefined
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

  setIfAbsent(
    key: string,
    value: Stored,
    ttl?: number,
    tags?: readonly string[],
    grace?: number,
    fence?: number,
  ): number {
    return this.has(key) ? Outcome.Present : this.set(key, value, ttl, fence, tags, grace)
  }

  touch(key: string, ttl?: number): boolean {
    return this.#store.touch(this.#at(key), ttl)
  }

  peekFenced(key: string): [Stored | undefined, number] {
    return [this.peek(key), this.fence()]
  }

  increment(key: string, by: number, ttl?: number): number {
    return increment(this.#store, this.#namespace, key, by, ttl)
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

  walk(): Generator<WalkedKey[], void, undefined> {
    const isAnswered = () => this.#store.answers
    return walk(this.#store.all(this.#namespace), isAnswered)
  }

  toRecords(max: number): Generator<RecordSlice, void, undefined> {
    return toRecords(this.#store.all(this.#namespace), this, max)
  }

  fromRecords(...args: Parameters<Engine['fromRecords']>): Restored {
    return fromRecords(this, ...args)
  }

  purge(budget: number): PurgeSlice {
    return this.#store.entries.purge(budget)
  }

  clear(): void {
    const store = this.#store
    if (this.#namespace.number === 0) store.clear()
    else store.clearNamespace(this.#namespace)
  }

  size(): number {
    const store = this.#store
    return this.#namespace.number === 0 ? store.entries.size : this.#namespace.entries
  }

  bytes(): number {
    const store = this.#store
    return this.#namespace.number === 0 ? store.entries.bytes : this.#namespace.bytes
  }

  fence(): number {
    return this.#store.fences.now
  }

  permits(key: string, fence: number, tags?: readonly string[]): boolean {
    return this.#store.permits(fence, this.#namespace, key, tags)
  }

  claim(key: string, timeout: number, tags?: readonly string[]): [number, number] | undefined {
    const store = this.#store
    const now = store.now()
    const fence = store.fences.now
    // A caller must not wait for a load that a change of its own tags has overtaken.
    const isCurrent = (held: number, heldTags: readonly string[] | undefined) =>
      store.permits(held, this.#namespace, key, heldTags) && store.fences.tagsUnchanged(held, tags)
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
    const entry = this.#store.findStale(this.#at(key))
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
    this.#store.fences.invalidateTag(tag)
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
    this.#lifetime.end()
    store.leases.release(this)
  }
}
