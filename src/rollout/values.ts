import { Cache } from '../cache/cache.js'
import { internals } from '../common/internals.js'
import { checkFunction, checkKey } from '../common/validate.js'
import { type GetOrSetOptions, type LoadContext, parseGetOrSet } from '../loading/options.js'
import { type LoadRequest, settingsOf } from '../loading/request.js'
import { Rollout } from './base.js'
import { compare, isSame } from './compare.js'
import { loadDirectly } from './direct.js'
import type { RolloutMode, RolloutOptions } from './setting.js'
import { loadInShadow, type ShadowOutcome } from './shadow.js'

/** What can be rolled out beside a `PolicyCache`: a `Cache`, or what loads and reads like one. */
export interface ReadThrough<V = unknown> {
  getOrSet<T extends V = V>(
    key: string,
    load: (context: LoadContext<T>) => T | Promise<T>,
    options?: GetOrSetOptions,
  ): Promise<T>
  /** `undefined` for a miss. */
  get(key: string): V | undefined | Promise<V | undefined>
}

/** Neither default of a cache: what it is not told, another one decides for itself. */
const NO_TTL = { ttl: Infinity }

/** A cache that is rolled out. Everything but `getOrSet` is done on the cache itself, in every mode. */
export class CacheRollout<V = unknown> extends Rollout {
  readonly #cache: ReadThrough<V>

  /** @internal */
  constructor(cache: ReadThrough<V>, options: RolloutOptions) {
    super(options)
    this.#cache = cache
  }

  /**
   * The value under `key`, as from the cache's own `getOrSet`; from `load` alone in the modes `off` and `shadow`, where
   * it is what `load` returned, neither a copy nor frozen. The percentage counts keys. In the mode `shadow`, what
   * another package's cache does not have is loaded through it.
   *
   * @throws As `Cache.getOrSet`; `ERR_CACHE_CLOSED` once the rollout is closed.
   */
  getOrSet<T extends V = V>(
    key: string,
    load: (context: LoadContext<T>) => T | Promise<T>,
    options?: GetOrSetOptions,
  ): Promise<T> {
    try {
      const mode = this.control.modeFor(() => (typeof key === 'string' ? key : ''))
      return mode === 'on' ? this.#cache.getOrSet(key, load, options) : this.#load(mode, key, load, options)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  async #load<T extends V>(
    mode: Exclude<RolloutMode, 'on'>,
    key: string,
    load: (context: LoadContext<T>) => T | Promise<T>,
    given: GetOrSetOptions = {},
  ): Promise<T> {
    checkKey(key)
    checkFunction(load, 'load')
    const options = parseGetOrSet(given)
    options.signal?.throwIfAborted()
    const cache = this.#cache
    const core = cache instanceof Cache ? cache[internals] : undefined
    const request = { ...settingsOf(options, core?.loading ?? {}), key, load } as unknown as LoadRequest<V>
    const report = (outcome: ShadowOutcome, error?: unknown) => this.report(outcome, key, key, error)
    const isFresh = options.forceRefresh === true
    if (mode === 'off') return (await loadDirectly(request, core?.engine.settings ?? NO_TTL)).value as T
    if (core !== undefined) return (await loadInShadow(core, request, isFresh, report)) as T
    return this.#loadBeside(key, load, given, request, report)
  }

  /** As in shadow, with a cache that is another package's. */
  async #loadBeside<T extends V>(
    key: string,
    load: (context: LoadContext<T>) => T | Promise<T>,
    options: GetOrSetOptions,
    request: LoadRequest<V>,
    report: (outcome: ShadowOutcome, error?: unknown) => void,
  ): Promise<T> {
    let cached: V | undefined
    try {
      cached = options.forceRefresh ? undefined : await this.#cache.get(key)
    } catch (error) {
      report('failed', error)
      return (await loadDirectly(request, NO_TTL)).value as T
    }
    if (cached === undefined) {
      report('miss')
      return this.#cache.getOrSet(key, load, options)
    }
    const { value } = await loadDirectly(request, NO_TTL)
    try {
      const outcome = compare(cached, value)
      const isThere = outcome === 'match' || isSame(await this.#cache.get(key), cached)
      report(isThere ? outcome : 'overtaken')
    } catch (error) {
      report('failed', error)
    }
    return value as T
  }
}
