import { describe, wrongType } from '../common/errors.js'
import { count, defineOptions, name } from '../common/options.js'
import { checkKey, checkTtl } from '../common/validate.js'
import { Outcome, type PurgeSlice } from '../engine/engine.js'
import { NativeEngine } from '../engine/native/engine.js'
import { binding } from '../engine/native/load.js'
import { purgeFor } from '../engine/purge.js'
import { RAW_FORMAT } from '../serializer/serializer.js'
import { engineName } from './kind.js'
import { ttl } from './options.js'

/** Options of a {@link RustCache}; as in `CacheOptions`. */
export interface RustCacheOptions {
  name?: string | undefined
  max?: number | undefined
  maxSize?: number | undefined
  ttl?: number | undefined
}

const parse = defineOptions<RustCacheOptions>('RustCache', {
  name,
  max: count,
  maxSize: count,
  ttl,
})

/**
 * The native cache as it is: strings in, strings out, no fallback. `Cache` is what most programs want.
 *
 * @throws `ERR_CACHE_ENGINE_UNAVAILABLE` where the native engine cannot be loaded; see
 * `isRustCacheAvailable`.
 */
export class RustCache implements Disposable {
  readonly #engine: NativeEngine

  constructor(options: RustCacheOptions = {}) {
    const { name, ...limits } = parse(options)
    const native = binding()
    if (native.binding === undefined) throw native.error
    this.#engine = NativeEngine.open(native.binding, {
      ...limits,
      name: name === undefined ? undefined : engineName('cache', name),
      label: name,
      format: RAW_FORMAT,
    })
  }

  /** The value under `key`, or `undefined`. */
  get(key: string): string | undefined {
    checkKey(key)
    return this.#engine.get(key) as string | undefined
  }

  /** Stores `value` for `ttl` ms, by default for as long as the cache's option says; says whether it did. */
  set(key: string, value: string, ttl?: number): boolean {
    checkKey(key)
    if (typeof value !== 'string') throw wrongType(`the value must be a string, not ${describe(value)}`)
    if (ttl !== undefined) checkTtl(ttl)
    return this.#engine.set(key, value, ttl) === Outcome.Stored
  }

  /** Removes the value under `key`; says whether there was one. */
  delete(key: string): boolean {
    checkKey(key)
    return this.#engine.delete(key)
  }

  /** Removes everything. */
  clear(): void {
    this.#engine.clear()
  }

  /** How many entries are held. */
  size(): number {
    return this.#engine.size()
  }

  /** Removes all expired entries and returns how many there were. */
  cleanupExpired(): number {
    return purgeFor(this.#engine, Infinity).removed
  }

  /** Removes expired entries for about `ms` of time, for a `CleanupTask`. */
  purgeSlice(ms: number): PurgeSlice {
    checkTtl(ms, 'ms')
    return purgeFor(this.#engine, ms)
  }

  close(): void {
    this.#engine.close()
  }

  [Symbol.dispose](): void {
    this.close()
  }
}
