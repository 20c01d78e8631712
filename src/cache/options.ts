import { type Clock, parseClock } from '../common/clock.js'
import { describe, outOfRange, wrongType } from '../common/errors.js'
import { choice, count, defineOptions, flag, lifetime, limit, name, type Parse } from '../common/options.js'
import { type EngineKind, type EvictionPolicy, POLICIES } from '../common/settings.js'
import { ENTRY_OVERHEAD, MAX_TTL } from '../engine/limits.js'
import { LOADING, type LoadingOptions } from '../loading/options.js'
import type { NearOptions } from '../near/near-cache.js'
import type { JsonMode, SerializerName } from '../serializer/serializer.js'

/** Options of a {@link Cache}. */
export interface CacheOptions {
  /**
   * The name under which threads of this process share the cache. It lives as long as any of them has it
   * open. What is left out here is as the thread has it that opened it first; what contradicts that is an
   * `ERR_CACHE_OPTIONS_CONFLICT`. Without a name the cache belongs to this object alone.
   */
  name?: string | undefined
  /** The most entries held at any instant. Default: 10 000 if `maxSize` is not given either, else no limit. */
  max?: number | undefined
  /**
   * The most bytes held at any instant: of keys and values one a character (two if the text has any beyond
   * U+00FF), and 96 for each entry. Default: no limit.
   */
  maxSize?: number | undefined
  /** The most bytes of one entry, counted as for `maxSize`. A larger one is not stored. Default: `maxSize`. */
  maxEntrySize?: number | undefined
  /** How long an entry lives, in ms, if it is stored without a TTL. Default: `Infinity`. */
  ttl?: number | undefined
  /**
   * Whether `get`, `getMany` and `getOrSet` give what they find its whole TTL again. In such a cache no thread keeps
   * decoded values. Default: `false`, or as the cache of this name was opened.
   */
  updateAgeOnGet?: boolean | undefined
  /**
   * `json` holds what JSON can, and `Uint8Array`s as bytes. `v8` also holds `Map`, `Set`, `Date`, `BigInt`,
   * typed arrays and cycles, and takes several times as long. Default: `json`, or as the cache of this name was opened.
   */
  serializer?: SerializerName | undefined
  /**
   * What the `json` serializer does with a value that JSON would give back as something else: bytes, a `Map`, a `Date`
   * or anything else with a `toJSON` inside it, `NaN`, a function. `strict` refuses it with
   * `ERR_CACHE_NOT_SERIALIZABLE` and the place; `lenient` stores what `JSON.stringify` makes of it. Fields that are
   * `undefined` are left out, and an object of a class comes back as a plain one, in any case. Default: `strict`.
   */
  json?: JsonMode | undefined
  /**
   * Which value leaves when there is no room: the least recently used one, or the one that S3-FIFO chooses, which
   * keeps what is used again and again also when much else comes between. Expired ones leave first. Default: `lru`,
   * or as the cache of this name was opened. The fallback engine is always LRU.
   */
  policy?: EvictionPolicy | undefined
  /**
   * How many values each thread keeps as it decoded them, to be returned again as long as they are current: by
   * `get`, `peek`, `getOrSet` and what `wrap` makes. They are frozen, with all that they hold; what is read before it has a
   * copy is the caller's own. `false` keeps none: every
   * read gives a copy of its own, which may be changed, as `getMany`, `entries` and `take` do in any case. Bytes, and
   * values with a `Map`, a `Set` or a `Date` in them, are always private copies.
   */
  near?: NearOptions | false | undefined
  /** How `getOrSet` and what `wrap` makes load, where a call does not say otherwise. */
  loading?: LoadingOptions | undefined
  /**
   * The clock by which values live and expire, in ms: `Date` or `performance` follow the fake timers of a test. For
   * private caches only: threads cannot ask a clock of another. Default: the system's monotonic clock.
   */
  clock?: Clock | undefined
  /** Whether the channels of `diagnostics_channel` are told keys and tags themselves. Default: `false`, their digests. */
  traceKeys?: boolean | undefined
  /**
   * `rust` insists on the native engine, `js` on the fallback. Default: what the environment variable
   * `SARK_CACHE_ENGINE` says, else `rust` where it can be loaded.
   */
  engine?: EngineKind | undefined
}

const parseNear = defineOptions<NearOptions>(
  'near',
  {
    max: count,
    maxSize: count,
    clock: choice('shared', 'exact'),
  },
  'near.',
)

/** `false`, or how many values are kept. */
export const near: Parse<NearOptions | false> = (value) => {
  if (value === false) return false
  if (typeof value !== 'object' || value === null) {
    throw wrongType(`near must be false or an object of max, maxSize and clock, not ${describe(value)}`)
  }
  return parseNear(value)
}

const parseLoading = defineOptions<LoadingOptions>('loading', LOADING, 'loading.')

/** Ms to live; what is longer than the engines count is for ever. */
export const ttl: Parse<number> = (value, name) => {
  const ms = lifetime(value, name)
  return ms > MAX_TTL ? Infinity : Math.ceil(ms)
}

/** Bytes that hold one entry at least. */
const size: Parse<number> = (value, name) => {
  const bytes = limit(value, name)
  if (bytes <= ENTRY_OVERHEAD) {
    throw outOfRange(
      `${name} must be more than the ${ENTRY_OVERHEAD} bytes that every entry takes, not ${bytes}`,
    )
  }
  return bytes
}

const parse = defineOptions<CacheOptions>('Cache', {
  name,
  max: limit,
  maxSize: size,
  maxEntrySize: size,
  ttl,
  updateAgeOnGet: flag,
  serializer: choice('json', 'v8'),
  json: choice('strict', 'lenient'),
  policy: choice(...POLICIES),
  near,
  loading: parseLoading,
  clock: parseClock,
  traceKeys: flag,
  engine: choice('rust', 'js'),
})

/**
 * The options of a cache, checked.
 *
 * @throws `RangeError` or `TypeError` naming the option.
 */
export function parseCacheOptions(given: unknown): CacheOptions {
  const options = parse(given)
  const { max, maxSize = Infinity, name, clock } = options
  if (max === Infinity && maxSize === Infinity) {
    throw outOfRange('max may be Infinity only if maxSize is a number of bytes')
  }
  if (clock !== undefined && name !== undefined) {
    throw outOfRange(
      `the cache ${JSON.stringify(name)} cannot have a clock: the threads that share a name cannot ask a clock of ` +
        'another; leave the name out',
    )
  }
  return options
}
