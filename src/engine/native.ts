import { CacheError } from '../common/errors.js'
import { NearCopies, type NearEngine, type NearMemory } from '../near/copies.js'
import type { Decode, Near, NearOptions } from '../near/near.js'
import { ABI, type Binding } from './binding.js'
import { checkPrivate, reader } from './clock.js'
import {
  conflict,
  type Engine,
  type EngineOptions,
  type EngineSettings,
  type EngineStats,
  type EvictionPolicy,
  POLICIES,
  type PurgeSlice,
  type SharedCounters,
  type Stored,
} from './engine.js'
import { holdName, sharedUnder } from './names.js'
import { notANumber, notFinite } from './number.js'

/** Keys fetched in one crossing while walking over a cache. */
const BATCH = 256

/** Takes the place of the binding of an engine that is closed. */
const CLOSED = new Proxy({} as Binding, {
  get: () => () => {
    throw new CacheError('ERR_CACHE_CLOSED', 'the cache is closed')
  },
})

/** The calls of a binding, each of which first says what time it is. They are for a cache that was opened to be told. */
function telling(binding: Binding, now: () => number): Binding {
  const told: Record<string, unknown> = { ...binding }
  for (const [name, call] of Object.entries(binding) as [string, (...args: unknown[]) => unknown][]) {
    if (name === 'close') continue
    told[name] = (cache: number, ...more: unknown[]) => {
      binding.tell(cache, now())
      return call(cache, ...more)
    }
  }
  return told as unknown as Binding
}

/** An engine that its root closes with itself, unless it is collected before. */
interface Family {
  readonly views: Set<WeakRef<NativeEngine>>
  readonly self: WeakRef<NativeEngine>
}

/** Closes what was opened by an engine that is collected without having been closed. */
const abandoned = new FinalizationRegistry<{
  binding: Binding
  cache: number
  family: Family | undefined
  leave: (() => void) | undefined
}>(({ binding, cache, family, leave }) => {
  family?.views.delete(family.self)
  binding.close(cache)
  leave?.()
})

/** The engine in Rust. All engines of one name, in whatever thread, are one cache. */
export class NativeEngine implements Engine, NearEngine {
  readonly kind = 'rust'
  readonly settings: EngineSettings
  readonly format: number
  #binding: Binding
  readonly #cache: number
  /** Whether the time is not that of the system, which is all that the memory for copies tells. */
  readonly #isTold: boolean
  /** The namespaces that were made from this engine and are open. */
  readonly #views = new Set<WeakRef<NativeEngine>>()
  /** Where this is listed, if it is a namespace. */
  readonly #family: Family | undefined
  /** Gives the name back. */
  readonly #leave: (() => void) | undefined

  constructor(binding: Binding, options: EngineOptions, of?: { root: NativeEngine; namespace: string }) {
    if (of !== undefined) {
      this.#binding = binding
      this.#cache = binding.namespace(of.root.#cache, of.namespace)
      this.#isTold = of.root.#isTold
      this.settings = of.root.settings
      this.format = of.root.format
      this.#family = { views: of.root.#views, self: new WeakRef<NativeEngine>(this) }
      this.#family.views.add(this.#family.self)
      abandoned.register(this, { binding, cache: this.#cache, family: this.#family, leave: undefined }, this)
      return
    }
    checkPrivate(options)
    const { name, max, maxSize, maxEntrySize, ttl, format, clock } = options
    if (name !== undefined) sharedUnder(name, 'rust', ABI)
    const policyNumber = options.policy && POLICIES.indexOf(options.policy)
    const now = clock && reader(clock)
    // Before anything is open: a clock may throw.
    now?.()
    const [slides, isTold] = [options.updateAgeOnGet ? 1 : 0, now === undefined ? 0 : 1]
    // What it has open by this name already, it leaves as it is.
    this.#cache = binding.open(name, max, maxSize, maxEntrySize, ttl, format, policyNumber, slides, isTold)
    this.#binding = now === undefined ? binding : telling(binding, now)
    this.#isTold = now !== undefined
    const { serializer, policy, updateAgeOnGet, ...settings } = binding.options(this.#cache)
    this.settings = {
      ...settings,
      policy: POLICIES[policy] as EvictionPolicy,
      updateAgeOnGet: updateAgeOnGet === 1,
    }
    this.format = serializer
    const contradiction = conflict(options, this)
    if (contradiction !== undefined) {
      binding.close(this.#cache)
      throw new CacheError('ERR_CACHE_OPTIONS_CONFLICT', contradiction)
    }
    try {
      if (name !== undefined) this.#leave = holdName(name, 'rust', ABI, undefined)
    } catch (error) {
      binding.close(this.#cache)
      throw error
    }
    abandoned.register(this, { binding, cache: this.#cache, family: undefined, leave: this.#leave }, this)
  }

  get(key: string): Stored | undefined {
    return this.#binding.get(this.#cache, key)
  }

  peek(key: string): Stored | undefined {
    return this.#binding.peek(this.#cache, key)
  }

  near<V>(options: NearOptions, decode: Decode<V>): Near<V> {
    const { max } = this.settings
    return new NearCopies<V>(this, decode, this.#isTold ? { ...options, clock: 'exact' } : options, max)
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

  setIfAbsent(key: string, value: Stored, ttl?: number, tags?: readonly string[], grace?: number): number {
    return this.#binding.setIfAbsent(this.#cache, key, value, ttl, tags, grace)
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
    return new NativeEngine(this.#binding, {}, { root: this, namespace: name })
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
    if (this.#binding === CLOSED) return
    abandoned.unregister(this)
    this.#family?.views.delete(this.#family.self)
    for (const view of this.#views) view.deref()?.close()
    this.#binding.close(this.#cache)
    this.#binding = CLOSED
    this.#leave?.()
  }
}
