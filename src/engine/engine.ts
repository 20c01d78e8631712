import type { EngineKind, EngineSettings, EvictionPolicy } from '../common/settings.js'
import type {
  AtomicWrites,
  Fences,
  Leases,
  NearSource,
  SharedCounters,
  StaleReads,
  TierControl,
  Walks,
} from './capabilities.js'
import type { Stored } from './stored.js'

/** How an engine is opened; what is `undefined` is left to it, or to what is in force under the name. */
export interface EngineOptions {
  /** How messages call the cache, instead of by its name. */
  readonly label?: string | undefined
  /** The name under which the cache is shared; without one it is private. */
  readonly name?: string | undefined
  /** The most entries. */
  readonly max?: number | undefined
  /** The most bytes. */
  readonly maxSize?: number | undefined
  /** The most bytes of one entry. */
  readonly maxEntrySize?: number | undefined
  /** The TTL in ms of an entry that is stored without one. */
  readonly ttl?: number | undefined
  /** How the wrapper encodes values; all that share a cache must agree on it. */
  readonly format?: number | undefined
  /** Which value leaves when there is no room. */
  readonly policy?: EvictionPolicy | undefined
  /** Whether the TTL of an entry runs from its last `get` rather than from its insertion. Default: `false`. */
  readonly updateAgeOnGet?: boolean | undefined
  /**
   * Where all time of the cache comes from, for one without a name: what `now` returns, in ms. A smaller number than
   * one before counts as that one. Default: the system's monotonic clock.
   */
  readonly clock?: EngineClock | undefined
  /**
   * Whether there is a second tier, so that reads are answered only while a lease is held. All that share a cache must
   * agree on it. Default: `false`.
   */
  readonly tiered?: boolean | undefined
}

/** What tells the time in ms, from whatever beginning: `Date` or `performance`, say. */
export interface EngineClock {
  now(): number
}

/** What became of a value. */
export const Outcome = {
  Stored: 1,
  /** Its TTL was 0; what was under the key is removed. */
  Expired: 0,
  /** It was larger than one entry may be; what was under the key is removed. */
  TooLarge: -1,
  /** Its key or a tag of it changed after its fence; nothing was changed. */
  Fenced: -2,
  /** There is a readable value, and it was to be stored only if there is none; nothing was changed. */
  Present: -3,
} as const

/** Counters since the cache was opened or they were last reset. */
export interface EngineStats {
  /** Reads that found a value. */
  hits: number
  /** Those of them that were answered with a value which the thread had decoded before. */
  nearHits: number
  /** Reads that found none. */
  misses: number
  /** Values stored. */
  sets: number
  /** Values removed by `delete` and `take`. */
  deletes: number
  /** Values removed by `clear`. */
  cleared: number
  /** Live values evicted because `max` was reached. */
  evictionsByMax: number
  /** Live values evicted because `maxSize` was reached. */
  evictionsByMaxSize: number
  /** Values removed because their TTL had passed. */
  expirations: number
  /** Values removed because a tag of theirs had been invalidated. */
  invalidations: number
  /** Values refused because they were larger than `maxEntrySize`. */
  rejections: number
  /** Values refused because their key or a tag of theirs changed while they were loaded. */
  fenced: number
}

export function noStats(): EngineStats {
  return {
    hits: 0,
    nearHits: 0,
    misses: 0,
    sets: 0,
    deletes: 0,
    cleared: 0,
    evictionsByMax: 0,
    evictionsByMaxSize: 0,
    expirations: 0,
    invalidations: 0,
    rejections: 0,
    fenced: 0,
  }
}

/** What one slice of a purge did. */
export interface PurgeSlice {
  /** Expired entries removed. */
  removed: number
  /** Whether nothing expired is left. */
  done: boolean
}

/**
 * A bounded store of strings and bytes by key, with LRU eviction, TTLs and invalidation fences.
 *
 * Arguments are checked by the layer above. All calls but `close` throw `ERR_CACHE_CLOSED` once it is closed.
 */
export interface Engine extends Fences, Leases, AtomicWrites, StaleReads, Walks {
  readonly kind: EngineKind
  /** What decoded copies of its values are made from. */
  readonly nearSource: NearSource
  /** For a cache that was opened `tiered`; else `undefined`. */
  readonly tier?: TierControl | undefined
  readonly settings: EngineSettings
  /** How the wrapper that opened the cache first encodes values. */
  readonly format: number
  get(key: string): Stored | undefined
  peek(key: string): Stored | undefined
  take(key: string): Stored | undefined
  has(key: string): boolean
  /**
   * Stores a value. `ttl` in ms; `undefined` takes the default. For `grace` ms after it `getStale` still
   * finds the value. Returns an {@link Outcome}.
   */
  set(
    key: string,
    value: Stored,
    ttl?: number,
    fence?: number,
    tags?: readonly string[],
    grace?: number,
  ): number
  delete(key: string): boolean
  /** In ms; `Infinity` for an entry that does not expire, 0 for none. */
  remainingTtl(key: string): number
  getMany(keys: readonly string[]): (Stored | undefined)[]
  hasMany(keys: readonly string[]): boolean[]
  deleteMany(keys: readonly string[]): boolean[]
  /** Stores values under keys of the same places; returns an {@link Outcome} for each. */
  setMany(
    keys: readonly string[],
    values: readonly Stored[],
    ttls: number | undefined | readonly (number | undefined)[],
  ): number[]
  /** Removes expired entries, looking at no more than `budget`; with 0, it only says whether there are any. */
  purge(budget: number): PurgeSlice
  clear(): void
  size(): number
  bytes(): number
  /**
   * The namespace `name` of the cache: an engine for keys that are apart from those of the root and of every other
   * namespace. All engines of one name, in all that share the cache, are the same namespace. Namespaces are flat:
   * those of a namespace are those of its cache.
   *
   * Its `keys`, `size`, `bytes`, `leases`, `stats` and `resetStats` speak of the namespace alone; those of the root of
   * the whole cache, but for `keys`, which are the root's own. Its `clear` takes as long with many entries as with few:
   * what it removes is counted out at once, while the root's `size` and `bytes` count it until it is overwritten,
   * evicted or expires. Tags, `invalidateTag`, `fence`, `purge`, `counters` and the bounds are those of the
   * whole cache. An entry of a namespace is charged four bytes more.
   *
   * `close` closes this engine alone; it is closed with the one that it was made from, too.
   *
   * @throws `ERR_OUT_OF_RANGE` for more than 65 535 names in one cache.
   */
  namespace(name: string): Engine
  /**
   * The counters of this name, from 1 to 65 536 of them, which begin at zero. They are those of the whole cache,
   * whichever of its engines is asked, and live as long as it is open in some thread.
   *
   * @throws `ERR_CACHE_OPTIONS_CONFLICT` if the group is in use with another size; `ERR_OUT_OF_RANGE`.
   */
  counters(group: string, size: number): SharedCounters
  stats(): EngineStats
  resetStats(): void
  close(): void
}
