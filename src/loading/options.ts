import { outOfRange } from '../common/errors.js'
import {
  abortSignal,
  defineOptions,
  duration,
  flag,
  type Parse,
  part,
  type Schema,
  target,
} from '../common/options.js'
import { checkedTags, MAX_TAGS } from '../engine/limits.js'

/** What a load is given. It may change what is not read-only; that then holds for its result. */
export interface LoadContext<V = unknown> {
  /** Aborted when nobody waits for the load any more, and when it takes longer than `hardTimeout`. */
  readonly signal: AbortSignal
  /** The value that has expired, where serving it was allowed and it has not been invalidated. */
  readonly stale: V | undefined
  /** The TTL in ms of the result, counted from the start of the load. */
  ttl: number | undefined
  /** The tags of the result; at most 128. */
  tags: readonly string[] | undefined
  /** Whether the result is stored; `true` unless the load says otherwise. */
  store: boolean
}

/** Filled in by a call of `getOrSet`: where its result came from. */
export interface LoadStatus {
  /**
   * `hit`: from the cache. `load`: loaded for this call, by this thread or another. `shared`: by a load that
   * was under way in this thread. `stale`: from the cache, past its TTL. `remote`: from the second tier, where the cache
   * has one.
   */
  source?: 'hit' | 'load' | 'shared' | 'stale' | 'remote' | undefined
  /** With `stale`: why the load failed, if it did. */
  error?: unknown
}

/** How values are loaded, where a call does not say otherwise: `loading` of the options of a cache. */
export interface LoadingOptions {
  /** A part of the TTL, from 0 to 1, of which up to all is taken off at random. Default: 0. */
  ttlJitter?: number | undefined
  /**
   * Ms after which this caller waits no longer: it is served the stale value, if there is one that may be
   * served, else it fails with `ERR_CACHE_LOAD_TIMEOUT`. The load goes on. The process stays alive until then, as it
   * does for nothing else that is waited for here. Default: `Infinity`.
   */
  timeout?: number | undefined
  /**
   * Ms after which a load that has not settled fails with `ERR_CACHE_LOAD_TIMEOUT` and its key is free
   * again; `Infinity` never. A call whose loads are each overtaken by an invalidation fails after as long with
   * `ERR_CACHE_OVERTAKEN`. Default: 30 000.
   */
  hardTimeout?: number | undefined
  /**
   * Ms after its TTL for which a value is served while it is loaded again behind the scenes. It must have
   * been given when the value was loaded, too: only then is the value kept. Default: 0.
   */
  staleWhileRevalidate?: number | undefined
  /**
   * Ms after its TTL for which a value is served when its load fails or takes longer than `timeout`; kept as above.
   * Default: 0.
   */
  staleIfError?: number | undefined
  /**
   * The part of the value's own TTL, from 0 to 1, that must be left; with less, a hit begins to load the
   * value again behind the scenes. Default: 0, never.
   */
  refreshAhead?: number | undefined
  /**
   * Ms after a failed load for which its key is not loaded again in this thread: callers are given the same error, or
   * the stale value. A load that succeeds ends it, and `forceRefresh` passes over it. Default: 0.
   */
  retryAfter?: number | undefined
}

/** How `getOrSet` loads and stores. */
export interface GetOrSetOptions extends LoadingOptions {
  /** Ms to live, counted from the start of the load. Default: the cache's. */
  ttl?: number | undefined
  /** Up to 128 names under which `invalidateTag` finds the value. */
  tags?: readonly string[] | undefined
  /** Loads, whatever is cached, and stores the result. Waits for no load that began before. Default: `false`. */
  forceRefresh?: boolean | undefined
  /** Ends this caller's wait. The load goes on as long as another caller waits for it. */
  signal?: AbortSignal | undefined
  /** An object of the caller's that is told where the result came from. */
  status?: LoadStatus | undefined
}

/** Tags of an entry, in an array of our own. */
export const tagList: Parse<readonly string[]> = (value, name) => checkedTags(value, MAX_TAGS, name)

/** An object that can be told where a result came from. */
export const statusTarget: Parse<LoadStatus> = (value, name) => {
  const status = target<LoadStatus>(value, name)
  if (!Object.isExtensible(status)) throw outOfRange(`${name} must be an object that can be written to`)
  return status
}

/** Tells a caller's object where a result came from. An object that does not take it gets nothing. */
export function tell(
  status: LoadStatus | undefined,
  source: NonNullable<LoadStatus['source']>,
  error?: unknown,
): void {
  if (status === undefined) return
  try {
    status.source = source
    status.error = error
  } catch {
    // A setter of the caller's own, and no matter of those who wait for the same.
  }
}

export const LOADING: Schema<LoadingOptions> = {
  ttlJitter: part,
  timeout: duration,
  hardTimeout: duration,
  staleWhileRevalidate: duration,
  staleIfError: duration,
  refreshAhead: part,
  retryAfter: duration,
}

export const GET_OR_SET: Schema<GetOrSetOptions> = {
  ...LOADING,
  ttl: duration,
  tags: tagList,
  forceRefresh: flag,
  signal: abortSignal,
  status: statusTarget,
}

export const parseGetOrSet = defineOptions<GetOrSetOptions>('getOrSet', GET_OR_SET)
