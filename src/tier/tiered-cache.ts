import { type CacheCore, openCore } from '../cache/core.js'
import { getOrSet } from '../cache/get-or-set.js'
import { inspect } from '../cache/inspect.js'
import { type CacheStats, resetStatsOf, statsOf } from '../cache/stats.js'
import { type Fence, sealFence } from '../cache/tier-fence.js'
import type { TierHealth, TierState } from '../cache/tier-health.js'
import { type WrapOptions, type Wrapped, wrap } from '../cache/wrap.js'
import { internals } from '../common/internals.js'
import { abortSignal } from '../common/options.js'
import type { EngineKind, EngineSettings } from '../common/settings.js'
import { checkedKeys, checkKey, checkText } from '../common/validate.js'
import { checkedTags } from '../engine/limits.js'
import type { Stored } from '../engine/stored.js'
import { type GetOrSetOptions, type LoadContext, tell } from '../loading/options.js'
import type { LoadRequest } from '../loading/request.js'
import type { Missing } from '../loading/second-tier.js'
import type { TierCounts } from './counts.js'
import { wireName } from './names.js'
import { parseTieredOptions, type TieredCacheOptions } from './options.js'
import { factoryOf } from './redis-tier.js'
import type { RemoteTier } from './remote-tier.js'
import { parseTierSet, type TierSetOptions } from './set-options.js'

/** What happened in a cache, as for `Cache`, and between this thread and its tier. */
export interface TieredStats extends CacheStats, TierCounts {}

/**
 * A cache in front of Redis or Valkey, for all processes that use its namespace: values are found in this process, else
 * in Redis, else loaded. Once a change has settled no thread of this process is served anything older; once Redis has
 * acknowledged it no process is later than `maxStaleness` ms after, whatever fails. `docs/fleet.md` says how.
 *
 * @example
 * const users = new TieredCache<User>({ name: 'users', ttl: 60_000, redis: new Redis() })
 * const user = await users.getOrSet('1', () => db.user(1))
 * await users.delete('1') // in every process
 */
export class TieredCache<V = unknown> implements AsyncDisposable {
  /** The name given; `undefined` for a cache of this object alone in its process. */
  readonly name: string | undefined
  /** Which engine serves what this process holds. */
  readonly engine: EngineKind
  /** The limits and the TTL in force in this process; `Infinity` where there is none. */
  readonly settings: EngineSettings
  /** @internal */
  readonly [internals]: CacheCore<V>
  readonly #tier: RemoteTier
  /** Whether processes wait for each other's loads. */
  readonly #hasLeases: boolean

  /** @throws `RangeError` or `TypeError` naming the option; `CacheError` as for `Cache`. */
  constructor(options: TieredCacheOptions) {
    const { cache, tier } = parseTieredOptions(options)
    const core = inspect(openCore<V>(cache, 'cache', cache.name, factoryOf(tier)), 'cache')
    this[internals] = core
    this.#tier = core.tier as RemoteTier
    this.#hasLeases = tier.loadLease > 0
    this.name = core.name
    this.engine = core.engine.kind
    this.settings = core.settings
  }

  /**
   * The value under `key`, of this process or else of Redis, or `undefined`: also if Redis cannot be asked. It is
   * read-only as for `Cache.get`.
   */
  get<T extends V = V>(key: string): Promise<T | undefined> {
    try {
      checkKey(key)
      return this.#get(wireName(key)) as Promise<T | undefined>
    } catch (error) {
      return Promise.reject(error)
    }
  }

  #get(key: string): Promise<V | undefined> {
    const local = this[internals].get(key)
    return local === undefined ? this.#getRemote(key) : Promise.resolve(local)
  }

  async #getRemote(key: string, onMiss?: (missing: Missing) => void): Promise<V | undefined> {
    let value: V | undefined
    const read = (stored: Stored): V | undefined => {
      try {
        return this[internals].share(stored).value
      } catch {
        // Whoever may write to the namespace may have put anything there.
        return undefined
      }
    }
    const accepts = (stored: Stored): boolean => {
      value = read(stored)
      return value !== undefined
    }
    const stored = await this.#tier.get(key, accepts, onMiss)
    // Where another call has read it, this one was not asked.
    return stored === undefined ? undefined : (value ?? read(stored))
  }

  /** The values under `keys`, in their order, as from {@link TieredCache.get}. */
  async getMany<T extends V = V>(keys: readonly string[]): Promise<(T | undefined)[]> {
    return Promise.all(checkedKeys(keys).map((key) => this.#get(wireName(key)))) as Promise<(T | undefined)[]>
  }

  /** The value under `key` that this process holds and may serve, at once, or `undefined`. */
  getLocal<T extends V = V>(key: string): T | undefined {
    checkKey(key)
    return this[internals].get(wireName(key)) as T | undefined
  }

  /**
   * As `Cache.getOrSet`: of all calls of a thread that miss, one asks Redis, and if there is nothing to be believed one of
   * all threads loads. `status.source` is `remote` for what Redis had.
   *
   * @throws What `load` throws, and the rest as for `Cache.getOrSet`; nothing because of Redis.
   */
  getOrSet<T extends V = V>(
    key: string,
    load: (context: LoadContext<T>) => T | Promise<T>,
    options?: GetOrSetOptions,
  ): Promise<T> {
    return getOrSet(this[internals], key, load as never, options, this.#loadMissing) as Promise<T>
  }

  /** Asks Redis, and loads if that has nothing. */
  readonly #loadMissing = async (request: LoadRequest<V>): Promise<V> => {
    const { key, signal, timeout, staleWhileRevalidate, status } = request
    const { loader } = this[internals]
    // A load has more to it than a read: what waits for others, and what the caller waits for.
    const isPlain = signal === undefined && timeout === Infinity && staleWhileRevalidate === 0
    if (!isPlain || this.#hasLeases || !this.#tier.canAsk || loader.isLoading(key))
      return loader.load(request)
    let missing: Missing | undefined
    const value = await this.#getRemote(key, (missed) => {
      missing = missed
    })
    if (value !== undefined) {
      tell(status, 'remote')
      return value
    }
    const known = () => {
      const first = missing
      missing = undefined
      return first
    }
    return loader.load({ ...request, missing: known })
  }

  /** As `Cache.wrap`; `delete(...args)` of what it makes is as {@link TieredCache.delete}. */
  wrap<F extends (...args: never[]) => V | Promise<V>>(
    load: F,
    options: WrapOptions<Parameters<F>, Awaited<ReturnType<F>>> & { context?: false | undefined },
  ): Wrapped<Parameters<F>, Awaited<ReturnType<F>>, Promise<boolean>>
  wrap<A extends unknown[], T extends V = V>(
    load: (...args: [...args: A, context: LoadContext<T>]) => T | Promise<T>,
    options: WrapOptions<A, T> & { context: true },
  ): Wrapped<A, T, Promise<boolean>>
  wrap(load: never, options: never): Wrapped<never[], V, Promise<boolean>> {
    const remove = async (key: string) => (await this.#remove([key]))[0] as boolean
    return wrap(this[internals], load, options, remove)
  }

  /**
   * Stores `value` under `key`, for all processes: as {@link TieredCache.delete}, and then the value, if nobody else
   * changed the key or a tag of it meanwhile. With a `fence` it changes nothing for others, for it was loaded: it is
   * stored if nothing of it changed after the fence.
   *
   * @param options A TTL in ms, or {@link TierSetOptions}.
   * @returns Whether it was stored: not if its TTL is 0, if it is larger than `maxEntrySize`, or if it was overtaken.
   * @throws As `Cache.set`; `ERR_CACHE_CHANGE_PENDING` if Redis has not acknowledged it: the value is dropped then, and
   * what was there before is gone in this process, and in others once it is delivered.
   */
  async set(key: string, value: V, options?: number | TierSetOptions): Promise<boolean> {
    checkKey(key)
    const core = this[internals]
    const { ttl, tags, fence } = parseTierSet(options)
    const entry = { key: wireName(key), stored: core.encode(value), ttl, tags: tags ?? [] }
    return fence === undefined ? this.#tier.write(entry) : this.#tier.fill(entry, fence)
  }

  /**
   * Removes the value under `key` in every process; says whether this process held one. Loads under way for it are not
   * stored, anywhere. Resolves once Redis has acknowledged it.
   *
   * @throws `ERR_CACHE_CHANGE_PENDING` if it has not: the change holds in this process, and is delivered later.
   */
  async delete(key: string): Promise<boolean> {
    return (await this.deleteMany([key]))[0] as boolean
  }

  /** {@link TieredCache.delete} for each of `keys`, in one go. */
  async deleteMany(keys: readonly string[]): Promise<boolean[]> {
    return this.#remove(checkedKeys(keys).map(wireName))
  }

  async #remove(wired: readonly string[]): Promise<boolean[]> {
    const was = this[internals].engine.hasMany(wired)
    if (wired.length > 0) await this.#tier.change(wired.map((key) => ({ kind: 'key', key })))
    return was
  }

  /** Makes every value that carries `tag` a miss, in every process, as {@link TieredCache.delete} does. */
  invalidateTag(tag: string): Promise<void> {
    return this.invalidateTags([tag])
  }

  /** {@link TieredCache.invalidateTag} for each of `tags`, in one go. */
  async invalidateTags(tags: readonly string[]): Promise<void> {
    const checked = checkedTags(tags, Infinity)
    for (const tag of checked) checkText(tag, 'tag')
    if (checked.length > 0) await this.#tier.change(checked.map((tag) => ({ kind: 'tag', tag })))
  }

  /** Removes everything, in every process, as {@link TieredCache.delete} does. */
  clear(): Promise<void> {
    return this.#tier.change([{ kind: 'clear' }])
  }

  /**
   * What stands for this moment, for a value that is loaded after it and then {@link TieredCache.set}. `getOrSet` does
   * this by itself.
   */
  fence(): Fence {
    return sealFence(this.#tier.fence())
  }

  /** `connecting` until values may be served, `suspended` while they may not for Redis cannot be heard. */
  get state(): TierState {
    return this.#tier.state
  }

  /**
   * Resolves when values of this process may be served: the first time, or again.
   *
   * @throws The reason of `signal`; `ERR_CACHE_CLOSED`.
   */
  async ready(signal?: AbortSignal): Promise<void> {
    await this.#tier.ready(signal === undefined ? undefined : abortSignal(signal, 'signal'))
  }

  /** What happened so far, or since the last `resetStats`. */
  stats(): TieredStats {
    return { ...statsOf(this[internals]), ...this.#tier.counts() }
  }

  /** Starts the statistics from zero: those of the cache for all threads, those of the tier for this one. */
  resetStats(): void {
    resetStatsOf(this[internals])
    this.#tier.resetCounts()
  }

  /** How the tier is, as far as this process knows; nobody is asked. */
  health(): TierHealth {
    return this.#tier.health()
  }

  /** Delivers what is pending, for `writeTimeout` at most, and lets go of the cache. Does nothing the second time. */
  async close(): Promise<void> {
    await this.#tier.end()
    this[internals].close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}
