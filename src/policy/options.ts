import type { CacheOptions } from '../cache/options.js'
import { near, parseCacheOptions } from '../cache/options.js'
import { fence } from '../cache/set-options.js'
import type { TierFactory } from '../cache/tier.js'
import { type Fence, unsealFence } from '../cache/tier-fence.js'
import { parseClock } from '../common/clock.js'
import { describe, outOfRange, wrongType } from '../common/errors.js'
import {
  abortSignal,
  callable,
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
import { checkNumber, checkText } from '../common/validate.js'
import { checkedTags } from '../engine/limits.js'
import { LOADING, type LoadingOptions, type LoadStatus, statusTarget } from '../loading/options.js'
import type { Decision, Evaluate } from './decision.js'
import type { PolicyQuery } from './query.js'
import { parseTtls, type SensitivityTtls } from './ttl.js'

/** Options of a {@link PolicyCache}; those of loading are as in `getOrSet`. */
export interface PolicyCacheOptions<D extends Decision>
  extends Pick<
      CacheOptions,
      'max' | 'maxSize' | 'policy' | 'near' | 'engine' | 'clock' | 'traceKeys' | 'json'
    >,
    LoadingOptions {
  /** Finds the decisions that `decide` and `preload` do not find in the cache. */
  evaluate?: Evaluate<D> | undefined
  /**
   * The name under which threads of this process share the decisions, as for `Cache`; a `Cache` of the same name is
   * another one. Default: none, private.
   */
  name?: string | undefined
  /** Policy caches of one name and different namespaces have nothing in common. Default: `default`. */
  namespace?: string | undefined
  /** The revision of the policies. A decision is found only under the revision it was made with. Default: `0`. */
  policyRevision?: string | undefined
  /**
   * Ms that a decision lives, by sensitivity. Default: critical 60 000, confidential 120 000, internal
   * 180 000, public 300 000. 0 keeps none.
   */
  ttl?: Partial<SensitivityTtls> | undefined
  /** Ms that a denial lives at the most. Default: 30 000. */
  denyTtl?: number | undefined
  /**
   * What other processes share the decisions by: `redisTier(…)` of `sark-cache/tier`. Default: none, they are those of
   * this process.
   */
  tier?: TierFactory | undefined
}

/** How one decision is found. */
export interface DecideOptions<D extends Decision> {
  /** Finds the decision, instead of the one in the options of the cache. */
  evaluate?: Evaluate<D> | undefined
  /** `bypass` evaluates whatever is cached, and stores the result. Default: `cached`. */
  freshness?: 'cached' | 'bypass' | undefined
  /**
   * The revision that the caller has seen: a decision of an older one, or of none, is not served. If the
   * evaluation itself comes to an older one, that is `ERR_POLICY_REVISION`.
   */
  minRevision?: number | undefined
  /** Ms after which this caller waits no longer, as in `getOrSet`. Default: the cache's. */
  timeout?: number | undefined
  /** Ends this caller's wait. */
  signal?: AbortSignal | undefined
  /** An object of the caller's that is told where the decision came from. */
  status?: LoadStatus | undefined
}

/** How {@link PolicyCache.decideMany} comes to its decisions. */
export type DecideManyOptions<D extends Decision> = Omit<DecideOptions<D>, 'status'>

/** What {@link PolicyCache.cached} may serve. */
export type CachedOptions = Pick<DecideOptions<Decision>, 'minRevision'>

/** How one decision is stored. */
export interface PolicySetOptions {
  /** Ms to live, instead of what the sensitivity says; 0 stores nothing. A denial is still cut short. */
  ttl?: number | undefined
  /** What {@link PolicyCache.fence} returned before the decision was made. */
  fence?: number | Fence | undefined
  /** More names under which `invalidateTag` finds the decision, up to 100. */
  tags?: readonly string[] | undefined
}

/** A decision with the query that it answers. */
export interface PolicyEntry<D extends Decision> extends PolicySetOptions {
  query: PolicyQuery
  decision: D
}

/** Tags of a decision beside those of its query. */
const MAX_MORE_TAGS = 100

const text: Parse<string> = (value, name) => {
  checkText(value, name)
  return value
}

/** The tags that a caller names, as the engine knows them: none of them is one of a query. */
export const moreTags: Parse<readonly string[]> = (value, name) =>
  checkedTags(value, MAX_MORE_TAGS, name).map(namedTag)

/** As {@link moreTags}, of one tag. */
export function namedTag(tag: string): string {
  return `+${tag}`
}

const revision: Parse<number> = (value, name) => {
  checkNumber(value, name)
  if (value < 0) throw outOfRange(`${name} must be 0 or more, not ${value}`)
  return value
}

const anything: Parse<never> = (value) => value as never

/** What `fence()` returned, of a cache with a tier or without. */
const anyFence: Parse<number | Fence> = (value, name) => {
  if (typeof value !== 'object') return fence(value, name)
  unsealFence(value, name)
  return value as Fence
}

const tierOf: Parse<TierFactory> = (value, name) => {
  if (typeof (value as TierFactory | null)?.open !== 'function') {
    throw wrongType(`${name} must be what redisTier() returned, not ${describe(value)}`)
  }
  return value as TierFactory
}

const SET: Schema<PolicySetOptions> = { ttl: duration, fence: anyFence, tags: moreTags }

export const parsePolicySet = defineOptions<PolicySetOptions>('set', SET)

export const parseEntry = defineOptions<PolicyEntry<Decision>>('an entry of setMany', {
  ...SET,
  query: anything,
  decision: anything,
})

const DECIDE: Schema<DecideManyOptions<Decision>> = {
  evaluate: callable<Evaluate<Decision>>,
  freshness: choice('cached', 'bypass'),
  minRevision: revision,
  timeout: duration,
  signal: abortSignal,
}

const parseDecideOptions = defineOptions<DecideOptions<Decision>>('decide', {
  ...DECIDE,
  status: statusTarget,
})

const parseDecideManyOptions = defineOptions<DecideManyOptions<Decision>>('decideMany', DECIDE)

export const parseCached = defineOptions<CachedOptions>('cached', { minRevision: revision })

/** The options of `decide`, checked. */
export function parseDecide<D extends Decision>(options: DecideOptions<D>): DecideOptions<D> {
  return parseDecideOptions(options) as unknown as DecideOptions<D>
}

/** The options of `decideMany`, checked. */
export function parseDecideMany<D extends Decision>(options: DecideManyOptions<D>): DecideManyOptions<D> {
  return parseDecideManyOptions(options) as unknown as DecideManyOptions<D>
}

const parseOptions = defineOptions<PolicyCacheOptions<Decision>>('PolicyCache', {
  ...LOADING,
  evaluate: callable<Evaluate<Decision>>,
  name,
  namespace: text,
  policyRevision: text,
  ttl: parseTtls,
  denyTtl: duration,
  tier: tierOf,
  max: limit,
  maxSize: limit,
  policy: choice(...POLICIES),
  near,
  engine: choice('rust', 'js'),
  clock: parseClock,
  traceKeys: flag,
  json: choice('strict', 'lenient'),
})

/** The options of a policy cache, checked: its own, those of the cache that it is made on, and those of its loads. */
export function parsePolicyOptions<D extends Decision>(
  options: PolicyCacheOptions<D>,
): { own: PolicyCacheOptions<D>; cache: CacheOptions; loading: LoadingOptions } {
  if (typeof options !== 'object' || options === null) {
    throw wrongType(`the options of PolicyCache must be an object, not ${describe(options)}`)
  }
  const own = parseOptions(options) as unknown as PolicyCacheOptions<D>
  const { name, max, maxSize, policy, engine, clock, traceKeys, json } = own
  const { ttlJitter, timeout, hardTimeout, staleWhileRevalidate, staleIfError, refreshAhead, retryAfter } =
    own
  return {
    own,
    cache: parseCacheOptions({
      name,
      max,
      maxSize,
      policy,
      engine,
      clock,
      traceKeys,
      json,
      serializer: 'json',
      // Beside the key of a query a look at the clock costs nothing.
      near: own.near === false ? false : { clock: 'exact', ...own.near },
    }),
    loading: {
      ttlJitter,
      timeout,
      hardTimeout,
      staleWhileRevalidate,
      staleIfError,
      refreshAhead,
      retryAfter,
    },
  }
}
