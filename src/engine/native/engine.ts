import { CacheError } from '../../common/errors.js'
import { Lifetime } from '../../common/lifetime.js'
import type { EngineSettings } from '../../common/settings.js'
import type {
  MemorySource,
  NearMemory,
  RecordSlice,
  Restored,
  SharedCounters,
  TierControl,
  WalkedKey,
} from '../capabilities.js'
import type { Engine, EngineOptions, EngineStats, PurgeSlice } from '../engine.js'
import { notANumber, notFinite } from '../number.js'
import type { Stored } from '../stored.js'
import type { Binding } from './binding.js'
import { type Opened, openCache } from './open.js'
import { NativeTierControl } from './tier-control.js'
import { BATCH, walk } from './walk.js'

/** Bytes of a slice of records, about. */
const SLICE = 256 << 10

/** Takes the place of the binding of an engine that is closed. */
const CLOSED = new Proxy({} as Binding, {
  get: () => () => {
    throw new CacheError('ERR_CACHE_CLOSED', 'the cache is closed')
  },
})

/** The engine in Rust. All engines of one name, in whatever thread, are one cache. */
export class NativeEngine implements Engine, MemorySource {
  readonly kind = 'rust'
  readonly settings: EngineSettings
  readonly format: number
  readonly hasOwnClock: boolean
  readonly tier: TierControl | undefined
  #binding: Binding
  readonly #cache: number
  readonly #lifetime: Lifetime

  private constructor(opened: Opened, root?: NativeEngine) {
    const { binding, cache, hasOwnClock, isTiered, settings, format, leave } = opened
    this.#binding = binding
    this.#cache = cache
    this.hasOwnClock = hasOwnClock
    this.tier = isTiered ? new NativeTierControl(() => this.#binding, cache) : undefined
    this.settings = settings
    this.format = format
    const release = () => {
      binding.close(cache)
      leave?.()
    }
    this.#lifetime = new Lifetime(this, release, root === undefined ? undefined : root.#lifetime)
  }

  /** @throws `ERR_CACHE_OPTIONS_CONFLICT`, `ERR_OUT_OF_RANGE`; what a clock throws. */
  static open(binding: Binding, options: EngineOptions): NativeEngine {
    return new NativeEngine(openCache(binding, options))
  }

  get(key: string): Stored | undefined {
    return this.#binding.get(this.#cache, key)
  }

  peek(key: string): Stored | undefined {
    return this.#binding.peek(this.#cache, key)
  }

  get isTiered(): boolean {
    return this.tier !== undefined
  }

  get nearSource(): MemorySource {
    return this
  }

  nearMemory(): NearMemory | undefined {
    // A read that a copy answers would renew no TTL.
    if (this.settings.updateAgeOnGet) return undefined
    const memory = this.#binding.near(this.#cache)
    if (memory === undefined) return undefined
    const [versions, time, report, margin] = memory
    return { versions, time, report, margin }
  }

  now(): number {
    return this.#binding.now(this.#cache)
  }

  getNear(key: string, written: number): Stored | null | undefined {
    return this.#binding.getNear(this.#cache, key, written)
  }

  reportReads(read: Float64Array, count: number, hits: number): void {
    this.#binding.reportReads(this.#cache, read, count, hits)
  }

  take(key: string): Stored | undefined {
    return this.#binding.take(this.#cache, key)
  }

  has(key: string): boolean {
    return this.#binding.has(this.#cache, key)
  }

  set(
    key: string,
    value: Stored,
    ttl?: number,
    fence?: number,
    tags?: readonly string[],
    grace?: number,
  ): number {
    // The native side looks at no more arguments than it is given.
    if (fence === undefined && tags === undefined && grace === undefined) {
      return ttl === undefined
        ? this.#binding.set(this.#cache, key, value)
        : this.#binding.set(this.#cache, key, value, ttl)
    }
    return this.#binding.set(this.#cache, key, value, ttl, fence, tags, grace)
  }

  setIfAbsent(
    key: string,
    value: Stored,
    ttl?: number,
    tags?: readonly string[],
    grace?: number,
    fence?: number,
  ): number {
    return this.#binding.setIfAbsent(this.#cache, key, value, ttl, tags, grace, fence)
  }

  touch(key: string, ttl?: number): boolean {
    return this.#binding.touch(this.#cache, key, ttl)
  }

  peekFenced(key: string): [Stored | undefined, number] {
    return this.#binding.peekFenced(this.#cache, key)
  }

  increment(key: string, by: number, ttl?: number): number {
    const sum = this.#binding.increment(this.#cache, key, by, ttl)
    if (sum === undefined) throw notANumber(key)
    if (sum === null) throw notFinite(key)
    return sum
  }

  delete(key: string): boolean {
    return this.#binding.delete(this.#cache, key)
  }

  remainingTtl(key: string): number {
    return this.#binding.remainingTtl(this.#cache, key)
  }

  getMany(keys: readonly string[]): (Stored | undefined)[] {
    return this.#binding.getMany(this.#cache, keys)
  }

  hasMany(keys: readonly string[]): boolean[] {
    return this.#binding.hasMany(this.#cache, keys)
  }

  deleteMany(keys: readonly string[]): boolean[] {
    return this.#binding.deleteMany(this.#cache, keys)
  }

  setMany(
    keys: readonly string[],
    values: readonly Stored[],
    ttls: number | undefined | readonly (number | undefined)[],
  ): number[] {
    return this.#binding.setMany(this.#cache, keys, values, ttls)
  }

  *keys(): Generator<string, void, undefined> {
    let stripe = 0
    let slot = 0
    while (stripe >= 0) {
      const batch = this.#binding.scan(this.#cache, stripe, slot, BATCH)
      stripe = batch[0] as number
      slot = batch[1] as number
      for (let at = 2; at < batch.length; at++) {
        const key = batch[at] as string
        // It may have gone since the batch was fetched.
        if (this.has(key)) yield key
      }
    }
  }

  walk(): Generator<WalkedKey[], void, undefined> {
    return walk(() => this.#binding, this.#cache)
  }

  *toRecords(max: number): Generator<RecordSlice, void, undefined> {
    let stripe = 0
    let slot = 0
    let left = max
    while (stripe >= 0 && left > 0) {
      const mean = this.bytes() / Math.max(1, this.size())
      const limit = Math.max(1, Math.min(BATCH, left, Math.floor(SLICE / mean)))
      const [nextStripe, nextSlot, count, bytes] = this.#binding.toRecords(this.#cache, stripe, slot, limit)
      stripe = nextStripe
      slot = nextSlot
      left -= count
      if (count > 0) yield { count, bytes }
    }
  }

  fromRecords(records: Uint8Array, age: number, fence: number, room: number, limit: number): Restored {
    const counts = this.#binding.fromRecords(this.#cache, records, age, fence, room, limit)
    const [read, stored = 0, present = 0, expired = 0, fenced = 0, tooLarge = 0, tagged = 0, noRoom = 0] =
      counts
    return { read, stored, present, expired, fenced, tooLarge, tagged, noRoom }
  }

  purge(budget: number): PurgeSlice {
    const removed = this.#binding.purge(this.#cache, budget)
    return removed < 0 ? { removed: -1 - removed, done: false } : { removed, done: true }
  }

  clear(): void {
    this.#binding.clear(this.#cache)
  }

  size(): number {
    return this.#binding.size(this.#cache)
  }

  bytes(): number {
    return this.#binding.bytes(this.#cache)
  }

  fence(): number {
    return this.#binding.fence(this.#cache)
  }

  permits(key: string, fence: number, tags?: readonly string[]): boolean {
    return this.#binding.permits(this.#cache, key, fence, tags)
  }

  claim(key: string, timeout: number, tags?: readonly string[]): [number, number] | undefined {
    return this.#binding.claim(this.#cache, key, timeout, tags)
  }

  settle(key: string, lease: number): boolean {
    return this.#binding.settle(this.#cache, key, lease)
  }

  leases(): number {
    return this.#binding.leases(this.#cache)
  }

  getStale(key: string): [Stored, number] | undefined {
    return this.#binding.getStale(this.#cache, key)
  }

  isDue(key: string, part: number): boolean {
    return this.#binding.isDue(this.#cache, key, part)
  }

  invalidateTag(tag: string): void {
    this.#binding.invalidateTag(this.#cache, tag)
  }

  stats(): EngineStats {
    return this.#binding.stats(this.#cache)
  }

  resetStats(): void {
    this.#binding.resetStats(this.#cache)
  }

  namespace(name: string): NativeEngine {
    const { hasOwnClock, isTiered, settings, format } = this
    const binding = this.#binding
    const cache = binding.namespace(this.#cache, name)
    return new NativeEngine({ binding, cache, hasOwnClock, isTiered, settings, format }, this)
  }

  counters(group: string, size: number): SharedCounters {
    this.#binding.counters(this.#cache, group, size)
    return {
      add: (deltas) => this.#binding.addCounters(this.#cache, group, deltas),
      read: () => this.#binding.readCounters(this.#cache, group),
      reset: () => this.#binding.resetCounters(this.#cache, group),
    }
  }

  close(): void {
    if (this.#lifetime.end()) this.#binding = CLOSED
  }
}
