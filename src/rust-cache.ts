import { describe, outOfRange, wrongType } from './common/errors.js'
import { checkCount, checkKey, checkOptions, checkText, checkTtl } from './common/validate.js'
import { binding } from './engine/binding.js'
import { Outcome, type PurgeSlice } from './engine/engine.js'
import { NativeEngine } from './engine/native.js'
import { purgeFor } from './engine/purge.js'
import { RAW_FORMAT } from './serializer.js'

/** Options of a {@link RustCache}; as in `CacheOptions`. */
export interface RustCacheOptions {
  name?: string
  max?: number
  maxSize?: number
  ttl?: number
}

/**
 * The native cache as it is: strings in, strings out, no fallback. `Cache` is what most programs want.
 *
 * @throws `ERR_CACHE_ENGINE_UNAVAILABLE` where the native engine cannot be loaded; see
 * `isRustCacheAvailable`.
 */
export class RustCache implements Disposable {
  readonly #engine: NativeEngine

  constructor(options: RustCacheOptions = {}) {
    checkOptions(options)
    const { name, max, maxSize, ttl } = options
    if (name !== undefined) checkText(name, 'name')
    if (max !== undefined) checkCount(max, 'max')
    if (maxSize !== undefined) checkCount(maxSize, 'maxSize')
    if (ttl !== undefined) checkTtl(ttl)
    if (ttl === 0) throw outOfRange('ttl must be more than 0 ms')
    const native = binding()
    if (native.binding === undefined) throw native.error
    this.#engine = new NativeEngine(native.binding, {
      name,
      max,
      maxSize,
      ttl: ttl && Math.ceil(ttl),
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
    return purgeFor(this.#engine, ms)
  }

  close(): void {
    this.#engine.close()
  }

  [Symbol.dispose](): void {
    this.close()
  }
}
