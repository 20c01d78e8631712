import { describe, outOfRange, wrongType } from '../common/errors.js'
import { checkOptions, checkTtl } from '../common/validate.js'
import { checkedTags, checkTags } from '../engine/limits.js'
import type { Request } from './loader.js'

/** What a load is given. It may change what is not read-only; that then holds for its result. */
export interface LoadContext<V = unknown> {
  /** Aborted when nobody waits for the load any more, and when it takes longer than `hardTimeout`. */
  readonly signal: AbortSignal
  /** The value that has expired, where serving it was allowed and it has not been invalidated. */
  readonly stale: V | undefined
  /** The TTL in ms of the result, counted from the start of the load. */
  ttl: number | undefined
  /** The tags of the result; at most 8. */
  tags: readonly string[] | undefined
  /** Whether the result is stored; `true` unless the load says otherwise. */
  store: boolean
}

/** Filled in by a call of `getOrSet`: where its result came from. */
export interface LoadStatus {
  /**
   * `hit`: from the cache. `load`: loaded for this call, by this thread or another. `shared`: by a load that
   * was under way in this thread. `stale`: from the cache, past its TTL.
   */
  source?: 'hit' | 'load' | 'shared' | 'stale'
  /** With `stale`: why the load failed, if it did. */
  error?: unknown
}

/** How `getOrSet` loads and stores. */
export interface GetOrSetOptions {
  /** Ms to live, counted from the start of the load. Default: the cache's. */
  ttl?: number
  /** A part of the TTL, from 0 to 1, of which up to all is taken off at random. Default: 0. */
  ttlJitter?: number
  /** Up to 8 names under which `invalidateTag` finds the value. */
  tags?: readonly string[]
  /** Ends this caller's wait. The load goes on as long as another caller waits for it. */
  signal?: AbortSignal
  /**
   * Ms after which this caller waits no longer: it is served the stale value, if there is one that may be
   * served, else it fails with `ERR_CACHE_LOAD_TIMEOUT`. The load goes on. As with all timers here, the process does not
   * stay alive for it. Default: `Infinity`.
   */
  timeout?: number
  /**
   * Ms after which a load that has not settled fails with `ERR_CACHE_LOAD_TIMEOUT` and its key is free
   * again; `Infinity` never. A call whose loads are each overtaken by an invalidation fails after as long with
   * `ERR_CACHE_OVERTAKEN`. Default: 30 000.
   */
  hardTimeout?: number
  /**
   * Ms after its TTL for which a value is served while it is loaded again behind the scenes. It must have
   * been given when the value was loaded, too: only then is the value kept. Default: 0.
   */
  staleWhileRevalidate?: number
  /** Ms after its TTL for which a value is served when its load fails; kept as above. Default: 0. */
  staleIfError?: number
  /**
   * The part of the value's own TTL, from 0 to 1, that must be left; with less, a hit begins to load the
   * value again behind the scenes. Default: 0, never.
   */
  refreshAhead?: number
  /** An object of the caller's that is told where the result came from. */
  status?: LoadStatus
}

const DEFAULT_HARD_TIMEOUT = 30_000

function checkPart(value: unknown, name: string): void {
  if (typeof value !== 'number') throw wrongType(`${name} must be a number from 0 to 1`)
  if (!(value >= 0 && value <= 1)) throw outOfRange(`${name} must be from 0 to 1, not ${value}`)
}

/** Checks the options of `getOrSet`. Runs at every hit. */
export function checkGetOrSetOptions(options: GetOrSetOptions): void {
  checkOptions(options)
  const { signal } = options
  if (signal !== undefined && typeof signal?.throwIfAborted !== 'function') {
    throw wrongType(`signal must be an AbortSignal, not ${describe(signal)}`)
  }
  if (options.ttl !== undefined) checkTtl(options.ttl)
  if (options.tags !== undefined) checkTags(options.tags)
  if (options.ttlJitter !== undefined) checkPart(options.ttlJitter, 'ttlJitter')
  if (options.refreshAhead !== undefined) checkPart(options.refreshAhead, 'refreshAhead')
  if (options.timeout !== undefined) checkTtl(options.timeout, 'timeout')
  if (options.hardTimeout !== undefined) checkTtl(options.hardTimeout, 'hardTimeout')
  if (options.staleIfError !== undefined) checkTtl(options.staleIfError, 'staleIfError')
  if (options.staleWhileRevalidate !== undefined) {
    checkTtl(options.staleWhileRevalidate, 'staleWhileRevalidate')
  }
}

/** A call of `getOrSet` with its defaults filled in. */
export function requestOf<V>(
  key: string,
  load: (context: LoadContext<V>) => V | Promise<V>,
  options: GetOrSetOptions,
): Request<V> {
  return {
    key,
    load,
    ttl: options.ttl,
    tags: options.tags === undefined ? undefined : checkedTags(options.tags),
    signal: options.signal,
    status: options.status,
    ttlJitter: options.ttlJitter ?? 0,
    refreshAhead: options.refreshAhead ?? 0,
    timeout: options.timeout ?? Infinity,
    hardTimeout: options.hardTimeout ?? DEFAULT_HARD_TIMEOUT,
    staleWhileRevalidate: options.staleWhileRevalidate ?? 0,
    staleIfError: options.staleIfError ?? 0,
  }
}
