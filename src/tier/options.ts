import { type CacheOptions, near, parseCacheOptions, ttl } from '../cache/options.js'
import { outOfRange, wrongType } from '../common/errors.js'
import {
  choice,
  defineOptions,
  duration,
  flag,
  limit,
  name,
  type Parse,
  type Schema,
} from '../common/options.js'
import { POLICIES } from '../common/settings.js'
import { checkNumber } from '../common/validate.js'
import { MAX_TTL } from '../engine/limits.js'
import { LOADING } from '../loading/options.js'
import type { NearOptions } from '../near/near-cache.js'
import type { RedisConnect } from './clients/port.js'
import { checkNamespace } from './names.js'

/** How a cache is connected to Redis or Valkey. */
export interface RedisTierOptions {
  /**
   * A client of `redis` (5, 6), `ioredis` (5, 6) or `iovalkey`, as the program has it, a cluster's too: it is copied, and
   * never used itself. For any other client, a function that opens one connection.
   */
  redis: object | RedisConnect
  /**
   * What processes share by: caches of one namespace on one server are one. Letters, digits, `_ - . :`. Default: the
   * name of the cache.
   */
  namespace?: string | undefined
  /** The most ms that a value lives in this process, where that should be less than its TTL. Default: `Infinity`. */
  localTtl?: number | undefined
  /**
   * The most ms for which a value may still be served after another process changed it, whatever fails; at least 200.
   * With `Infinity` values are served also while Redis cannot be reached. Default: 2 000.
   */
  maxStaleness?: number | undefined
  /** Ms after which a read of Redis counts as failed, and the value is loaded. Default: 50. */
  readTimeout?: number | undefined
  /** Ms after which a change that Redis has not acknowledged is pending. Default: 500. */
  writeTimeout?: number | undefined
  /**
   * Ms for which other processes wait for one that loads the same key; with 0 each loads by itself. Worth it where loads
   * are slow and processes many; a process that dies in a load delays the others by as much. Default: 0.
   */
  loadLease?: number | undefined
}

/** Options of a {@link TieredCache}. */
export interface TieredCacheOptions
  extends Omit<CacheOptions, 'clock' | 'updateAgeOnGet' | 'near'>,
    RedisTierOptions {
  /** As for `Cache`; the clock is always exact, since it tells the end of the lease. */
  near?: Omit<NearOptions, 'clock'> | false | undefined
}

/** Checked {@link RedisTierOptions}, with their defaults. */
export interface TierSettings {
  readonly redis: object | RedisConnect
  readonly namespace: string | undefined
  readonly localTtl: number
  readonly maxStaleness: number
  readonly readTimeout: number
  readonly writeTimeout: number
  readonly loadLease: number
}

/** The least ms of {@link RedisTierOptions.maxStaleness}. */
const LEAST_STALENESS = 200

const client: Parse<object | RedisConnect> = (value, name) => {
  if ((typeof value === 'object' && value !== null) || typeof value === 'function') return value
  throw wrongType(`${name} must be a client of redis, ioredis or iovalkey, or a function that connects`)
}

const namespace: Parse<string> = (value, name) => {
  checkNamespace(value, name)
  return value
}

const staleness: Parse<number> = (value, name) => {
  checkNumber(value, name, 'a number of ms')
  if (!(value >= LEAST_STALENESS))
    throw outOfRange(`${name} must be at least ${LEAST_STALENESS} ms, not ${value}`)
  return value
}

/** Ms of more than 0 that a timer can wait. */
const wait: Parse<number> = (value, name) => {
  const ms = duration(value, name)
  if (!(ms > 0 && ms < 2 ** 31))
    throw outOfRange(`${name} must be more than 0 ms and less than 2³¹, not ${ms}`)
  return ms
}

const lease: Parse<number> = (value, name) => {
  const ms = duration(value, name)
  if (!(ms < 2 ** 31)) throw outOfRange(`${name} must be less than 2³¹ ms, not ${ms}`)
  return ms
}

const REDIS_TIER: Schema<RedisTierOptions> = {
  redis: client,
  namespace,
  localTtl: ttl,
  maxStaleness: staleness,
  readTimeout: wait,
  writeTimeout: wait,
  loadLease: lease,
}

const parseRedisTier = defineOptions<RedisTierOptions>('redisTier', REDIS_TIER)

/** The options of a tier, checked. */
export function parseTier(options: unknown): TierSettings {
  return withDefaults(parseRedisTier(options))
}

function withDefaults(given: RedisTierOptions): TierSettings {
  const { redis, namespace, localTtl, maxStaleness = 2_000 } = given
  const { readTimeout = 50, writeTimeout = 500, loadLease = 0 } = given
  if (redis === undefined) throw wrongType('redis must be given: a client, or a function that connects')
  return {
    redis,
    namespace,
    localTtl: localTtl ?? Infinity,
    maxStaleness: Math.min(maxStaleness, MAX_TTL),
    readTimeout,
    writeTimeout,
    loadLease,
  }
}

/**
 * What processes share by, for a cache of this name.
 *
 * @throws `ERR_INVALID_ARG_TYPE` if neither is given; `ERR_OUT_OF_RANGE` if it has other characters than may be.
 */
export function namespaceOf({ namespace }: TierSettings, name: string | undefined): string {
  if (namespace !== undefined) return namespace
  if (name === undefined) throw wrongType('namespace must be given, or a name: it is what processes share by')
  checkNamespace(name, 'the name, without a namespace,')
  return name
}

const parseNear = (value: unknown, name: string): Omit<NearOptions, 'clock'> | false => {
  if (typeof value === 'object' && value !== null && 'clock' in value) {
    throw outOfRange('near.clock is always exact in a tiered cache')
  }
  return near(value, name)
}

const parse = defineOptions<TieredCacheOptions>('TieredCache', {
  ...REDIS_TIER,
  name,
  max: limit,
  maxSize: limit,
  maxEntrySize: limit,
  ttl,
  serializer: choice('json', 'v8'),
  json: choice('strict', 'lenient'),
  policy: choice(...POLICIES),
  near: parseNear,
  loading: defineOptions('loading', LOADING, 'loading.'),
  traceKeys: flag,
  engine: choice('rust', 'js'),
})

/** The options of a tiered cache, checked: those of the cache, and those of its tier. */
export function parseTieredOptions(options: unknown): { cache: CacheOptions; tier: TierSettings } {
  const { redis, namespace, localTtl, maxStaleness, readTimeout, writeTimeout, loadLease, ...cache } =
    parse(options)
  const tier = { redis, namespace, localTtl, maxStaleness, readTimeout, writeTimeout, loadLease }
  return {
    cache: parseCacheOptions({
      ...cache,
      near: cache.near === false ? false : { ...cache.near, clock: 'exact' },
    }),
    tier: withDefaults(tier),
  }
}
