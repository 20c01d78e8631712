import type { Decode, Near, NearOptions } from '../near/near.js'

/** What an engine stores: text as it is, or bytes. */
export type Stored = string | Uint8Array

/** Which engine serves a cache: the native one or the one in JavaScript. */
export type EngineKind = 'rust' | 'js'

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
}

/** What tells the time in ms, from whatever beginning: `Date` or `performance`, say. */
export interface EngineClock {
  now(): number
}

/** Which value leaves when there is no room: the least recently used one, or the one that S3-FIFO chooses. */
export type EvictionPolicy = 'lru' | 's3fifo'

/** The policies, at the numbers by which the native engine knows them. */
export const POLICIES: readonly EvictionPolicy[] = ['lru', 's3fifo']

/** The options that an engine works with; `Infinity` where there is no limit. */
export interface EngineSettings {
  readonly max: number
  readonly maxSize: number
  readonly maxEntrySize: number
  readonly ttl: number
  readonly policy: EvictionPolicy
  /** Whether each `get` renews the TTL of what it finds. */
  readonly updateAgeOnGet: boolean
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

/** What one slice of a purge did. */
export interface PurgeSlice {
  /** Expired entries removed. */
  removed: number
  /** Whether nothing expired is left. */
  done: boolean
}

/**
 * Counters that all threads of a cache share, for what is counted above the engine. They take a lock: count on your
 * own, and add what came together from time to time. All calls throw `ERR_CACHE_CLOSED` once the engine that gave them
 * is closed.
 */
export interface SharedCounters {
  /** Adds a number to each counter. @throws `ERR_OUT_OF_RANGE` unless there are as many numbers as counters. */
  add(deltas: Float64Array): void
  /** What they show, as a copy. */
  read(): Float64Array
  /** Makes all of them zero. */
  reset(): void
}

/**
 * A bounded store of strings and bytes by key, with LRU eviction, TTLs and invalidation fences.
 *
 * Arguments are checked by the layer above. All calls but `close` throw `ERR_CACHE_CLOSED` once it is closed.
 */
export interface Engine {
  readonly kind: EngineKind
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
  /** As `set`, where there is no readable value under `key`; else nothing is changed, and it is `Present`. */
  setIfAbsent(key: string, value: Stored, ttl?: number, tags?: readonly string[], grace?: number): number
  /**
   * Gives an entry a TTL that begins now and nothing else: `ttl` ms, or that which it was stored with; 0 removes it.
   * It counts as a use. Says whether there was a readable entry.
   */
  touch(key: string, ttl?: number): boolean
  /**
   * The value that `peek` finds, and the fence of the moment at which it was there: `set` with that fence is refused if
   * the key changed since, and the two compare and set.
   */
  peekFenced(key: string): [value: Stored | undefined, fence: number]
  /**
   * Adds to the number whose JSON text is under `key` and returns the sum. The entry keeps its deadline, its tags and
   * its grace; where there is none, `by` is stored for `ttl` ms, or the default. No increment is lost, whatever
   * threads make them.
   *
   * @throws `ERR_INVALID_ARG_TYPE` if the value is not a number, `ERR_OUT_OF_RANGE` if the sum is not finite; nothing
   * is changed then.
   */
  increment(key: string, by: number, ttl?: number): number
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
  keys(): Generator<string, void, undefined>
  /** Removes expired entries, looking at no more than `budget`; with 0, it only says whether there are any. */
  purge(budget: number): PurgeSlice
  clear(): void
  size(): number
  bytes(): number
  fence(): number
  /** Whether a load begun at `fence` may still be shared and stored. */
  permits(key: string, fence: number, tags?: readonly string[]): boolean
  /**
   * Asks for the load of a value. `undefined` while another load of it is under way that nothing has
   * overtaken; else the lease, which lasts until it is settled and at most `timeout` ms, and the fence of
   * the load.
   */
  claim(key: string, timeout: number, tags?: readonly string[]): [lease: number, fence: number] | undefined
  /** Ends a lease; says whether somebody was refused the load meanwhile. */
  settle(key: string, lease: number): boolean
  /** How many loads are under way, of which the time is not up. */
  leases(): number
  /** The value under `key`, its TTL passed or not, and for how many ms it has been stale; 0 if it is not. */
  getStale(key: string): [value: Stored, staleMs: number] | undefined
  /** Whether no more than this part of its TTL, from 0 to 1, is left to the value under `key`. */
  isDue(key: string, part: number): boolean
  invalidateTag(tag: string): void
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
  /** Reads that keep what they decode. */
  near<V>(options: NearOptions, decode: Decode<V>): Near<V>
  stats(): EngineStats
  resetStats(): void
  close(): void
}

/** The options on which all that share a cache must agree. */
const COMPARED = ['max', 'maxSize', 'maxEntrySize', 'ttl', 'serializer', 'policy', 'updateAgeOnGet'] as const

/**
 * What is asked for and contradicts what is in force, as the text of an error; `undefined` if nothing does.
 * What is left out agrees with anything.
 */
export function conflict(
  asked: EngineOptions,
  engine: Pick<Engine, 'settings' | 'format'>,
): string | undefined {
  const inForce = { ...engine.settings, serializer: engine.format }
  const wanted = { ...asked, serializer: asked.format }
  for (const option of COMPARED) {
    if (wanted[option] !== undefined && wanted[option] !== inForce[option]) {
      return (
        `${JSON.stringify(asked.label ?? asked.name)}: a cache of this name is open with another ${option}: ` +
        `${wanted[option]} is asked for, ${inForce[option]} is in force`
      )
    }
  }
  return undefined
}
