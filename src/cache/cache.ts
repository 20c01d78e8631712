import { internals } from '../common/internals.js'
import type { EngineKind, EngineSettings } from '../common/settings.js'
import { checkFunction, checkKey, checkText, checkTtl } from '../common/validate.js'
import { Outcome, type PurgeSlice } from '../engine/engine.js'
import { checkedTags } from '../engine/limits.js'
import { purgeFor } from '../engine/purge.js'
import type { GetOrSetOptions, LoadContext } from '../loading/options.js'
import { type IncrementOptions, increment, setIfAbsent, update } from './atomic.js'
import { type CacheCore, isCore, openCore } from './core.js'
import { getOrSet } from './get-or-set.js'
import { inspect } from './inspect.js'
import { deleteMany, getMany, hasMany, setMany } from './many.js'
import { type CacheOptions, parseCacheOptions } from './options.js'
import { parseStoring, type SetEntry, type SetOptions } from './set-options.js'
import { type CacheStats, resetStatsOf, statsOf } from './stats.js'
import { type WrapOptions, type Wrapped, wrap } from './wrap.js'

/**
 * A bounded cache of JSON values. A miss is `undefined`.
 *
 * Caches of one name are one cache, in all worker threads of the process. All methods but `getOrSet` and what `wrap`
 * makes are synchronous: a read takes well under a microsecond, a hop to another thread would take longer.
 *
 * Every method throws `ERR_CACHE_CLOSED` after `close()`, and `ERR_INVALID_ARG_TYPE` for a key that is not
 * a string.
 *
 * @example
 * const cache = new Cache<Decision>({ name: 'decisions', max: 500_000, ttl: 30_000 })
 * cache.set('alice:read:doc1', { allowed: true })
 * cache.get('alice:read:doc1') // { allowed: true }
 */
export class Cache<V = unknown> implements Disposable {
  /** The name given, with the namespaces within it; `undefined` for a private cache. */
  readonly name: string | undefined
  /** Which engine serves this cache. */
  readonly engine: EngineKind
  /** The limits and the TTL in force; `Infinity` where there is none. */
  readonly settings: EngineSettings
  /** @internal */
  readonly [internals]: CacheCore<V>

  /** @throws `RangeError` or `TypeError` naming the option; `CacheError` as `engine` and `name` say. */
  constructor(options: CacheOptions = {}) {
    const core = isCore(options)
      ? (options as unknown as CacheCore<V>)
      : inspect(openCore<V>(parseCacheOptions(options)), 'cache')
    this[internals] = core
    this.name = core.name
    this.engine = core.engine.kind
    this.settings = core.settings
  }

  /**
   * The value under `key`, or `undefined`. It is read-only: shared and frozen with all that it holds, but where it is a
   * copy of your own, as always with `near: false`. It becomes the most recently used.
   */
  get<T extends V = V>(key: string): T | undefined {
    checkKey(key)
    return this[internals].get(key) as T | undefined
  }

  /** The value under `key`, as from {@link Cache.get}, or `undefined`, leaving no trace in recency and statistics. */
  peek<T extends V = V>(key: string): T | undefined {
    checkKey(key)
    return this[internals].peek(key) as T | undefined
  }

  /** Whether `peek` would find a value. */
  has(key: string): boolean {
    checkKey(key)
    return this[internals].engine.has(key)
  }

  /**
   * Stores `value` under `key`.
   *
   * @param options A TTL in ms, or {@link SetOptions}.
   * @returns Whether it was stored: not if its TTL is 0, if it is larger than `maxEntrySize`, or if its key
   * or a tag of it changed after `fence`.
   * @throws `ERR_CACHE_NOT_SERIALIZABLE` for a value that the serializer cannot hold, `ERR_OUT_OF_RANGE`,
   * `ERR_INVALID_ARG_TYPE` or `ERR_CACHE_UNKNOWN_OPTION` for wrong options. Nothing is changed then.
   */
  set(key: string, value: V, options?: number | SetOptions): boolean {
    checkKey(key)
    const core = this[internals]
    if (options === undefined) return core.store(key, core.encode(value)) === Outcome.Stored
    const { ttl, fence, tags } = parseStoring(options, core.timeOfDay)
    return core.store(key, core.encode(value), ttl, fence, tags) === Outcome.Stored
  }

  /**
   * Stores `value` under `key` if there is none, at one instant for all threads; says whether it did.
   *
   * @throws As {@link Cache.set}.
   */
  setIfAbsent(key: string, value: V, options?: number | Omit<SetOptions, 'fence'>): boolean {
    checkKey(key)
    return setIfAbsent(this[internals], key, value, options)
  }

  /**
   * Adds `by` to the number under `key`, at one instant for all threads, and returns the sum. Where there is none, `by`
   * is stored, with the TTL of the options; a counter that there is keeps its deadline and its tags, so that it can
   * count what happens within a time from the first.
   *
   * @throws `ERR_INVALID_ARG_TYPE` if the value is no number, `ERR_OUT_OF_RANGE` if the sum is not finite.
   * Nothing is changed then.
   */
  increment(key: string, by = 1, options?: IncrementOptions): number {
    checkKey(key)
    return increment(this[internals], key, by, options)
  }

  /**
   * Replaces the value under `key` by what `change` makes of it, and returns that. If it is changed meanwhile, in
   * whatever thread, `change` is called again with the newer value; so it must have no other effect.
   *
   * @param change Given the value, a copy of its own, or `undefined`; if it returns `undefined`, nothing is changed.
   * @param options As for {@link Cache.set}: the new value has no tags and no TTL of the old one.
   * @throws As {@link Cache.set}; `ERR_CACHE_OVERTAKEN` after 10 000 attempts.
   */
  update(
    key: string,
    change: (value: V | undefined) => V | undefined,
    options?: number | Omit<SetOptions, 'fence'>,
  ): V | undefined {
    checkKey(key)
    checkFunction(change, 'change')
    return update(this[internals], key, change, options)
  }

  /**
   * Gives the value under `key` `ttl` ms to live from now on, by default those that it was stored with; says whether
   * there is one. With 0 it is removed.
   */
  touch(key: string, ttl?: number): boolean {
    checkKey(key)
    if (ttl !== undefined) checkTtl(ttl)
    const core = this[internals]
    core.onWrite()
    return core.engine.touch(key, ttl)
  }

  /** Removes the value under `key`; says whether there was one. Loads under way for it are not stored. */
  delete(key: string): boolean {
    checkKey(key)
    return this[internals].delete(key)
  }

  /** Removes the value under `key` and returns it, a copy of your own, or `undefined`. */
  take(key: string): V | undefined {
    checkKey(key)
    const core = this[internals]
    const found = core.decodeFound(core.engine.take(key))
    core.onInvalidate('key', key)
    return found
  }

  /** Removes everything, namespaces included. Loads under way are not stored. */
  clear(): void {
    this[internals].clear()
  }

  /**
   * A part of this cache that is kept apart under `name`: its keys are not those of the rest, and `clear`, `size`,
   * `bytes`, `stats`, `keys` and what else walks speak of it alone. It has the bounds of the whole, and shares its room;
   * tags reach all of it. Clearing it takes the same short time however much it holds. It closes with this cache.
   * Calls with one name give objects of one state, that of this thread.
   */
  namespace<W = V>(name: string): Cache<W> {
    checkText(name, 'the name of a namespace')
    return new Cache<W>(this[internals].namespace<W>(name) as unknown as CacheOptions)
  }

  /** The values under `keys`, in their order, each a copy of its own, `undefined` where there is none. */
  getMany(keys: readonly string[]): (V | undefined)[] {
    return getMany(this[internals], keys)
  }

  /** Whether there is a value, for each of `keys`. */
  hasMany(keys: readonly string[]): boolean[] {
    return hasMany(this[internals], keys)
  }

  /** Removes the values under `keys`; says for each whether there was one. */
  deleteMany(keys: readonly string[]): boolean[] {
    return deleteMany(this[internals], keys)
  }

  /**
   * Stores many values; says for each whether it was stored, as `set` does. All entries are checked first:
   * if one is wrong, none is stored.
   */
  setMany(entries: readonly SetEntry<V>[]): boolean[] {
    return setMany(this[internals], entries)
  }

  /**
   * The keys, in no particular order. A key that is there during the whole walk is met once; the cache may
   * be changed meanwhile.
   */
  keys(): Generator<string, void, undefined> {
    return this[internals].engine.keys()
  }

  /** The values, as for {@link Cache.keys}, each a copy of its own. */
  *values(): Generator<V, void, undefined> {
    for (const [, value] of this.entries()) yield value
  }

  /** The keys with their values, as for {@link Cache.keys}. */
  *entries(): Generator<[string, V], void, undefined> {
    const core = this[internals]
    for (const key of core.engine.keys()) {
      const value = core.decodeFound(core.engine.peek(key))
      if (value !== undefined) yield [key, value]
    }
  }

  [Symbol.iterator](): Generator<[string, V], void, undefined> {
    return this.entries()
  }

  /** Calls `body` for each value, as for {@link Cache.entries}. */
  forEach(body: (value: V, key: string, cache: this) => void): void {
    checkFunction(body, 'body')
    for (const [key, value] of this.entries()) body(value, key, this)
  }

  /** How many entries are held. Expired ones count until they are read, evicted or purged. */
  get size(): number {
    return this[internals].engine.size()
  }

  /** How many bytes are held, counted as for `maxSize`. */
  get bytes(): number {
    return this[internals].engine.bytes()
  }

  /** How long the value under `key` has to live, in ms: `Infinity` if it does not expire, 0 if there is none. */
  getRemainingTTL(key: string): number {
    checkKey(key)
    return this[internals].engine.remainingTtl(key)
  }

  /** Removes all expired entries and returns how many there were. A `CleanupTask` does it in slices. */
  purgeStale(): number {
    return this.purgeSlice(Infinity).removed
  }

  /** Removes expired entries for about `ms` of time; says whether any are left. */
  purgeSlice(ms: number): PurgeSlice {
    checkTtl(ms, 'ms')
    return purgeFor(this[internals].engine, ms)
  }

  /**
   * A number that stands for this moment. Taken before a value is loaded and given to `set` with it, it keeps
   * the value out if its key or one of its tags changed in between. `getOrSet` does this by itself.
   */
  fence(): number {
    return this[internals].engine.fence()
  }

  /**
   * Makes every value that carries `tag` a miss, on all threads, before it returns, in constant time. Values
   * under load that will carry it are not stored. A few values of other tags may be lost with it.
   */
  invalidateTag(tag: string): void {
    checkText(tag, 'tag')
    const core = this[internals]
    core.engine.invalidateTag(tag)
    core.onInvalidate('tag', tag)
  }

  /** {@link Cache.invalidateTag} for each of `tags`. */
  invalidateTags(tags: readonly string[]): void {
    for (const tag of checkedTags(tags, Infinity)) this.invalidateTag(tag)
  }

  /**
   * The value under `key`, as from {@link Cache.get}; on a miss the result of `load`, which is stored. Of all calls that
   * miss, in whatever thread, one loads and the others wait for it, unless the key or a tag changed since it began.
   *
   * If they change during the load, its result is dropped, and the value is loaded again; that it holds is checked when
   * the promise is resolved, one microtask before its `await` goes on. The TTL counts from the start of the load. An
   * error is never stored: it reaches everyone in this thread who waits, the other threads load by themselves, and the
   * next call loads again, unless `retryAfter` says otherwise. A value past its TTL is served only if
   * `staleWhileRevalidate` or `staleIfError` says so, and never after an invalidation.
   *
   * @throws What `load` throws; `ERR_CACHE_LOAD_TIMEOUT`; `ERR_CACHE_OVERTAKEN`; `ERR_CACHE_RECURSIVE_LOAD` if the load
   * asks for its own key (on Node.js before 24, noticed up to its first `await`); the reason of `signal`;
   * `ERR_CACHE_NOT_SERIALIZABLE` if `load` returns what cannot be stored, `undefined` included.
   */
  getOrSet<T extends V = V>(
    key: string,
    load: (context: LoadContext<T>) => T | Promise<T>,
    options?: GetOrSetOptions,
  ): Promise<T> {
    return getOrSet(this[internals], key, load as never, options) as Promise<T>
  }

  /**
   * A function that answers from the cache, or calls `load` with its own arguments and stores the result, as
   * {@link Cache.getOrSet} does. With `context: true`, `load` is given a {@link LoadContext} after the arguments. The
   * function has `key(...args)` and `delete(...args)`.
   *
   * @example
   * const userById = cache.wrap((id: number) => db.user(id), { key: (id) => `user:${id}`, ttl: 60_000 })
   * userById.delete(1)
   */
  wrap<F extends (...args: never[]) => V | Promise<V>>(
    load: F,
    options: WrapOptions<Parameters<F>, Awaited<ReturnType<F>>> & { context?: false | undefined },
  ): Wrapped<Parameters<F>, Awaited<ReturnType<F>>>
  wrap<A extends unknown[], T extends V = V>(
    load: (...args: [...args: A, context: LoadContext<T>]) => T | Promise<T>,
    options: WrapOptions<A, T> & { context: true },
  ): Wrapped<A, T>
  wrap(load: never, options: never): Wrapped<never[], V> {
    return wrap(this[internals], load, options)
  }

  /** What happened so far, or since the last `resetStats`. */
  stats(): CacheStats {
    return statsOf(this[internals])
  }

  /** Starts the statistics from zero, for all threads that have the cache open. */
  resetStats(): void {
    resetStatsOf(this[internals])
  }

  /** Lets go of the cache; the last one to do so frees its memory. Does nothing the second time. */
  close(): void {
    this[internals].close()
  }

  [Symbol.dispose](): void {
    this.close()
  }
}
