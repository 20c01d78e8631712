import { CacheError, describe, outOfRange, wrongType } from './common/errors.js'
import { freezeDeep } from './common/freeze.js'
import {
  checkChoice,
  checkCount,
  checkedKeys,
  checkFence,
  checkFunction,
  checkKey,
  checkNear,
  checkOptions,
  checkText,
  checkTtl,
} from './common/validate.js'
import {
  type Engine,
  type EngineKind,
  type EngineSettings,
  type EngineStats,
  type EvictionPolicy,
  Outcome,
  POLICIES,
  type PurgeSlice,
  type Stored,
} from './engine/engine.js'
import { checkedTags } from './engine/limits.js'
import { purgeFor } from './engine/purge.js'
import { openEngine } from './engine/select.js'
import { type LoadCounts, Loader } from './loading/loader.js'
import { checkGetOrSetOptions, type GetOrSetOptions, type LoadContext, requestOf } from './loading/options.js'
import { Wakeups } from './loading/wakeups.js'
import type { Near, NearOptions } from './near/near.js'
import { type Serializer, type SerializerName, serializers } from './serializer.js'

/** Options of a {@link Cache}. */
export interface CacheOptions {
  /**
   * The name under which threads of this process share the cache. It lives as long as any of them has it
   * open. What is left out here is as the thread has it that opened it first; what contradicts that is an
   * `ERR_CACHE_OPTIONS_CONFLICT`. Without a name the cache belongs to this object alone.
   */
  name?: string
  /** The most entries held at any instant. Default: 10 000 if `maxSize` is not given either, else no limit. */
  max?: number
  /**
   * The most bytes held at any instant: of keys and values one a character (two if the text has any beyond
   * U+00FF), and 96 for each entry. Default: no limit.
   */
  maxSize?: number
  /** The most bytes of one entry, counted as for `maxSize`. A larger one is not stored. Default: `maxSize`. */
  maxEntrySize?: number
  /** How long an entry lives, in ms, if it is stored without a TTL. Default: `Infinity`. */
  ttl?: number
  /**
   * `json` holds what JSON can, and `Uint8Array`s as bytes; inside a value, what JSON has no form for is left
   * out or becomes null, as by `JSON.stringify`. `v8` also holds `Map`, `Set`, `Date`, `BigInt`,
   * typed arrays and cycles, and takes several times as long. Default: `json`, or as the cache of this name was opened.
   */
  serializer?: SerializerName
  /**
   * Which value leaves when there is no room: the least recently used one, or the one that S3-FIFO chooses, which
   * keeps what is used again and again also when much else comes between. Expired ones leave first. Default: `lru`,
   * or as the cache of this name was opened. The fallback engine is always LRU.
   */
  policy?: EvictionPolicy
  /**
   * How many values each thread keeps as it decoded them, to be returned again as long as they are current: by
   * `get`, `peek`, `getOrSet` and what `wrap` makes. They are frozen, with all that they hold. `false` keeps none: every
   * read gives a copy of its own, which may be changed, as `getMany`, `entries` and `take` do in any case. Bytes, and
   * values with a `Map`, a `Set` or a `Date` in them, are always private copies.
   */
  near?: NearOptions | false
  /**
   * `rust` insists on the native engine, `js` on the fallback. Default: what the environment variable
   * `SARK_CACHE_ENGINE` says, else `rust` where it can be loaded.
   */
  engine?: EngineKind
}

/** How one value is stored. */
export interface SetOptions {
  /** Ms to live; `Infinity` for ever; 0 stores nothing and removes what was there. Default: the cache's. */
  ttl?: number
  /** Until when to live, in ms since the epoch, instead of `ttl`. A time that has passed is a TTL of 0. */
  expiresAt?: number
  /** Up to 8 names under which {@link Cache.invalidateTag} finds the value. */
  tags?: readonly string[]
  /** What {@link Cache.fence} of this very cache returned before the value was loaded. */
  fence?: number
}

/** One value of {@link Cache.setMany}. */
export interface SetEntry<V> extends SetOptions {
  key: string
  value: V
}

/** How {@link Cache.wrap} names and stores results. */
export interface WrapOptions<A extends unknown[]> extends Omit<GetOrSetOptions, 'signal' | 'status'> {
  /** The key of a call, made of its arguments. */
  key: (...args: A) => string
}

/**
 * What happened in a cache. Shared by all threads that have it open, but for the counts of loads. Reads that another
 * thread answered by values that it keeps count when it reports them: as soon as it comes to its event loop, and at
 * the latest after some thousands; those of a thread that is terminated may be lost.
 */
export interface CacheStats extends EngineStats, LoadCounts {
  /** `hits / (hits + misses)`, 0 before the first read. */
  hitRate: number
  /** Evictions for any reason. */
  evictions: number
  /** Entries held. Expired ones count until they are removed. */
  size: number
  /** Bytes held, counted as for `maxSize`. */
  bytes: number
  /** Loads of `getOrSet` that are under way, in all threads. */
  loading: number
}

/** Closes the channel of a cache that is collected without having been closed. */
const abandoned = new FinalizationRegistry<Wakeups>((wakeups) => wakeups.close())

/**
 * A bounded cache of JSON values. A miss is `undefined`.
 *
 * Caches of one name are one cache, in all worker threads of the process. All methods but `getOrSet` are
 * synchronous: a read takes well under a microsecond, a hop to another thread would take longer.
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
  /** The name given; `undefined` for a private cache. */
  readonly name: string | undefined
  /** Which engine serves this cache. */
  readonly engine: EngineKind
  /** The limits and the TTL in force; `Infinity` where there is none. */
  readonly settings: EngineSettings
  readonly #engine: Engine
  readonly #serializer: Serializer
  readonly #wakeups: Wakeups
  readonly #near: Near<V> | undefined
  #isClosed = false
  /** @internal */
  readonly loader: Loader<V>

  /** @throws `RangeError` or `TypeError` naming the option; `CacheError` as `engine` and `name` say. */
  constructor(options: CacheOptions = {}) {
    checkOptions(options)
    const { name, max, maxSize, maxEntrySize, ttl, serializer, policy, near = {}, engine } = options
    if (name !== undefined) checkText(name, 'name')
    if (max !== undefined && max !== Infinity) checkCount(max, 'max')
    if (maxSize !== undefined && maxSize !== Infinity) checkCount(maxSize, 'maxSize')
    if (maxEntrySize !== undefined && maxEntrySize !== Infinity) checkCount(maxEntrySize, 'maxEntrySize')
    if (max === Infinity && !(Number(maxSize) < Infinity)) {
      throw outOfRange('max may be Infinity only if maxSize is a number of bytes')
    }
    if (ttl !== undefined) checkTtl(ttl)
    if (ttl === 0) throw outOfRange('ttl must be more than 0 ms')
    if (serializer !== undefined) checkChoice(serializer, ['json', 'v8'], 'serializer')
    if (policy !== undefined) checkChoice(policy, POLICIES, 'policy')
    if (near !== false) checkNear(near)
    if (engine !== undefined) checkChoice(engine, ['rust', 'js'], 'engine')
    this.name = name
    const format = serializer && serializers[serializer].format
    const asked = { name, max, maxSize, maxEntrySize, ttl: ttl && Math.ceil(ttl), format, policy }
    this.#engine = openEngine(asked, engine)
    const found = Object.values(serializers).find((each) => each.format === this.#engine.format)
    if (found === undefined) {
      this.#engine.close()
      throw new CacheError('ERR_CACHE_OPTIONS_CONFLICT', `${JSON.stringify(name)} is open as a RustCache`)
    }
    this.#serializer = found
    const decode = (stored: Stored) => found.decode(stored) as V
    this.#near = near === false ? undefined : this.#engine.near(near, decode)
    const isNear = near !== false
    this.#wakeups = new Wakeups(name)
    abandoned.register(this, this.#wakeups, this)
    this.loader = new Loader({
      engine: this.#engine,
      encode: (value) => found.encode(value),
      decode: (stored) => {
        const value = decode(stored)
        if (isNear) freezeDeep(value)
        return value
      },
      wakeups: this.#wakeups,
    })
    this.engine = this.#engine.kind
    this.settings = this.#engine.settings
  }

  /** The value under `key`, or `undefined`. It becomes the most recently used. */
  get(key: string): V | undefined {
    checkKey(key)
    if (this.#near !== undefined) return this.#near.get(key)
    const stored = this.#engine.get(key)
    return stored === undefined ? undefined : (this.#serializer.decode(stored) as V)
  }

  /** The value under `key`, or `undefined`, leaving no trace in recency and statistics. */
  peek(key: string): V | undefined {
    checkKey(key)
    if (this.#near !== undefined) return this.#near.peek(key)
    const stored = this.#engine.peek(key)
    return stored === undefined ? undefined : (this.#serializer.decode(stored) as V)
  }

  /** Whether `peek` would find a value. */
  has(key: string): boolean {
    checkKey(key)
    return this.#engine.has(key)
  }

  /**
   * Stores `value` under `key`.
   *
   * @param options A TTL in ms, or {@link SetOptions}.
   * @returns Whether it was stored: not if its TTL is 0, if it is larger than `maxEntrySize`, or if its key
   * or a tag of it changed after `fence`.
   * @throws `ERR_CACHE_NOT_SERIALIZABLE` for a value that the serializer cannot hold, `ERR_OUT_OF_RANGE` or
   * `ERR_INVALID_ARG_TYPE` for wrong options. Nothing is changed then.
   */
  set(key: string, value: V, options?: number | SetOptions): boolean {
    checkKey(key)
    this.#near?.beforeWrite()
    if (options === undefined) {
      return this.#engine.set(key, this.#serializer.encode(value)) === Outcome.Stored
    }
    const { ttl, fence, tags } = resolve(options)
    const stored = this.#serializer.encode(value)
    return this.#engine.set(key, stored, ttl, fence, tags) === Outcome.Stored
  }

  /** Removes the value under `key`; says whether there was one. Loads under way for it are not stored. */
  delete(key: string): boolean {
    checkKey(key)
    return this.#engine.delete(key)
  }

  /** Removes the value under `key` and returns it, or `undefined`. */
  take(key: string): V | undefined {
    checkKey(key)
    const stored = this.#engine.take(key)
    return stored === undefined ? undefined : (this.#serializer.decode(stored) as V)
  }

  /** Removes everything. Loads under way are not stored. */
  clear(): void {
    this.#engine.clear()
    this.#near?.clear()
  }

  /** The values under `keys`, in their order, each a copy of its own, `undefined` where there is none. */
  getMany(keys: readonly string[]): (V | undefined)[] {
    this.#near?.beforeWrite()
    return this.#engine
      .getMany(checkedKeys(keys))
      .map((stored) => (stored === undefined ? undefined : (this.#serializer.decode(stored) as V)))
  }

  /** Whether there is a value, for each of `keys`. */
  hasMany(keys: readonly string[]): boolean[] {
    return this.#engine.hasMany(checkedKeys(keys))
  }

  /** Removes the values under `keys`; says for each whether there was one. */
  deleteMany(keys: readonly string[]): boolean[] {
    return this.#engine.deleteMany(checkedKeys(keys))
  }

  /**
   * Stores many values; says for each whether it was stored, as `set` does. All entries are checked first:
   * if one is wrong, none is stored.
   */
  setMany(entries: readonly SetEntry<V>[]): boolean[] {
    if (!Array.isArray(entries)) throw wrongType(`the entries must be an array, not ${describe(entries)}`)
    let isPlain = true
    const prepared = entries.map((entry) => {
      if (typeof entry !== 'object' || entry === null) {
        throw wrongType(`an entry must be an object, not ${describe(entry)}`)
      }
      checkKey(entry.key)
      const { ttl, fence, tags } = resolve(entry)
      isPlain &&= fence === undefined && tags === undefined
      return { key: entry.key, stored: this.#serializer.encode(entry.value), ttl, fence, tags }
    })
    this.#near?.beforeWrite()
    const outcomes = isPlain
      ? this.#engine.setMany(
          prepared.map(({ key }) => key),
          prepared.map(({ stored }) => stored),
          prepared.map(({ ttl }) => ttl),
        )
      : prepared.map(({ key, stored, ttl, fence, tags }) => this.#engine.set(key, stored, ttl, fence, tags))
    return outcomes.map((outcome) => outcome === Outcome.Stored)
  }

  /**
   * The keys, in no particular order. A key that is there during the whole walk is met once; the cache may
   * be changed meanwhile.
   */
  keys(): Generator<string, void, undefined> {
    return this.#engine.keys()
  }

  /** The keys with their values, as for {@link Cache.keys}. */
  *entries(): Generator<[string, V], void, undefined> {
    for (const key of this.#engine.keys()) {
      const stored = this.#engine.peek(key)
      if (stored !== undefined) yield [key, this.#serializer.decode(stored) as V]
    }
  }

  [Symbol.iterator](): Generator<[string, V], void, undefined> {
    return this.entries()
  }

  /** How many entries are held. Expired ones count until they are read, evicted or purged. */
  get size(): number {
    return this.#engine.size()
  }

  /** How many bytes are held, counted as for `maxSize`. */
  get bytes(): number {
    return this.#engine.bytes()
  }

  /** How long the value under `key` has to live, in ms: `Infinity` if it does not expire, 0 if there is none. */
  getRemainingTTL(key: string): number {
    checkKey(key)
    return this.#engine.remainingTtl(key)
  }

  /** Removes all expired entries and returns how many there were. A `CleanupTask` does it in slices. */
  purgeStale(): number {
    return this.purgeSlice(Infinity).removed
  }

  /** Removes expired entries for about `ms` of time; says whether any are left. */
  purgeSlice(ms: number): PurgeSlice {
    checkTtl(ms, 'ms')
    return purgeFor(this.#engine, ms)
  }

  /**
   * A number that stands for this moment. Taken before a value is loaded and given to `set` with it, it keeps
   * the value out if its key or one of its tags changed in between. `getOrSet` does this by itself.
   */
  fence(): number {
    return this.#engine.fence()
  }

  /**
   * Makes every value that carries `tag` a miss, on all threads, before it returns, in constant time. Values
   * under load that will carry it are not stored. A few values of other tags may be lost with it.
   */
  invalidateTag(tag: string): void {
    checkText(tag, 'tag')
    this.#engine.invalidateTag(tag)
  }

  /** {@link Cache.invalidateTag} for each of `tags`. */
  invalidateTags(tags: readonly string[]): void {
    for (const tag of checkedTags(tags, Infinity)) this.#engine.invalidateTag(tag)
  }

  /**
   * The value under `key`; on a miss the result of `load`, which is stored. Of all calls that miss, in
   * whatever thread, one loads and the others wait for it, unless the key or a tag changed since it began.
   *
   * If they change during the load, its result is dropped, and the value is loaded again. The TTL counts from
   * the start of the load. An error is never stored: it reaches everyone in this thread who waits, the other
   * threads load by themselves, and the next call loads again. Values are frozen, as from `get`, unless the cache
   * keeps none. A value past its TTL is served only if `staleWhileRevalidate` or `staleIfError` says so, and never
   * after an invalidation.
   *
   * @throws What `load` throws; `ERR_CACHE_LOAD_TIMEOUT`; `ERR_CACHE_OVERTAKEN`; the reason of `signal`;
   * `ERR_CACHE_NOT_SERIALIZABLE` if `load` returns what cannot be stored, `undefined` included.
   */
  async getOrSet(
    key: string,
    load: (context: LoadContext<V>) => V | Promise<V>,
    options?: GetOrSetOptions,
  ): Promise<V> {
    checkKey(key)
    checkFunction(load, 'load')
    if (options !== undefined) {
      checkGetOrSetOptions(options)
      options.signal?.throwIfAborted()
    }
    const value = this.get(key)
    if (value === undefined) return this.loader.loadMissing(requestOf(key, load, options ?? {}))
    if (options?.refreshAhead) this.loader.refreshIfDue(requestOf(key, load, options))
    if (options?.status !== undefined) options.status.source = 'hit'
    return value
  }

  /**
   * A function that answers from the cache, or calls `load` with its own arguments and stores the result,
   * as {@link Cache.getOrSet} does.
   *
   * @example
   * const userById = cache.wrap((id: number) => db.user(id), { key: (id) => `user:${id}`, ttl: 60_000 })
   */
  wrap<A extends unknown[]>(
    load: (...args: A) => V | Promise<V>,
    options: WrapOptions<A>,
  ): (...args: A) => Promise<V> {
    checkFunction(load, 'load')
    checkOptions(options)
    const { key, ...rest } = options
    checkFunction(key, 'key')
    checkGetOrSetOptions(rest)
    return (...args) => this.getOrSet(key(...args), () => load(...args), rest)
  }

  /** What happened so far, or since the last `resetStats`. */
  stats(): CacheStats {
    this.#near?.flush()
    const stats = this.#engine.stats()
    const reads = stats.hits + stats.misses
    return {
      ...stats,
      hitRate: reads === 0 ? 0 : stats.hits / reads,
      evictions: stats.evictionsByMax + stats.evictionsByMaxSize,
      size: this.size,
      bytes: this.bytes,
      loading: this.#engine.leases(),
      ...this.loader.counts,
    }
  }

  /** Starts the statistics from zero, for all threads that have the cache open. */
  resetStats(): void {
    this.#near?.flush()
    this.#engine.resetStats()
    this.loader.resetCounts()
  }

  /** Lets go of the cache; the last one to do so frees its memory. Does nothing the second time. */
  close(): void {
    if (!this.#isClosed) this.#near?.clear()
    this.#isClosed = true
    this.#engine.close()
    this.#wakeups.close()
    abandoned.unregister(this)
  }

  [Symbol.dispose](): void {
    this.close()
  }
}

interface Resolved {
  ttl: number | undefined
  fence: number | undefined
  tags: readonly string[] | undefined
}

/** Checks the options of `set`. */
function resolve(options: number | SetOptions): Resolved {
  if (typeof options === 'number') {
    checkTtl(options)
    return { ttl: options, fence: undefined, tags: undefined }
  }
  if (typeof options !== 'object' || options === null) {
    throw wrongType(`the options must be a number of ms or an object, not ${describe(options)}`)
  }
  const { ttl, expiresAt, fence } = options
  if (ttl !== undefined) checkTtl(ttl)
  const tags = options.tags === undefined ? undefined : checkedTags(options.tags)
  if (fence !== undefined) checkFence(fence)
  if (expiresAt === undefined) return { ttl, fence, tags }
  if (ttl !== undefined) throw outOfRange('give ttl or expiresAt, not both')
  if (typeof expiresAt !== 'number') {
    throw wrongType(`expiresAt must be a number of ms since the epoch, not ${describe(expiresAt)}`)
  }
  if (Number.isNaN(expiresAt)) throw outOfRange('expiresAt must not be NaN')
  return { ttl: Math.max(0, expiresAt - Date.now()), fence, tags }
}
