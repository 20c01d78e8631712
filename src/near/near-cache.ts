import type { Stored } from '../engine/stored.js'

/** How many decoded values a thread keeps. */
export interface NearOptions {
  /** The most values kept. Default: 16 384, or as many as the cache may hold, if that is less. */
  max?: number | undefined
  /**
   * The most bytes that the values kept may have, counted as for the cache's `maxSize`; decoded they take several times
   * as much. Default: 16 MiB.
   */
  maxSize?: number | undefined
  /**
   * How a copy knows the time. `shared`: from memory that a thread of the engine keeps up to date while copies of values
   * with a TTL are read, with a look at the clock in the last quarter of a second of a value's life. `exact`: from
   * the clock, at every read of a value with a TTL, which takes about as long again as the rest. Only when a process
   * that was stopped or suspended goes on, or its threads get no processor for that long, can the first be
   * behind, and for the moment that it takes that thread to wake up, a value be returned that expired meanwhile.
   * Default: `shared`; in a `PolicyCache`, `exact`.
   */
  clock?: 'shared' | 'exact' | undefined
}

/** Reads of a cache that keep what they decode. All values are frozen, or private to the caller. */
export interface NearCache<V> {
  /** As `Engine.get`, decoded. */
  get(key: string): V | undefined
  /** As `Engine.peek`, decoded. */
  peek(key: string): V | undefined
  /** To be called before anything is written: reports what was read, if what is evicted would not follow from it. */
  beforeWrite(): void
  /** Told that this thread has just stored or removed the value under a key. */
  wrote(key: string): void
  /** Hands over what a load has made of what is stored, frozen, for the next read. */
  loaded(key: string, stored: Stored, value: V): void
  /** Reports what was read to the engine. */
  flush(): void
  /** Lets go of everything kept. */
  clear(): void
}

/** Makes a value of what is stored; a new one each time. */
export type Decode<V> = (stored: Stored) => V

export const DEFAULT_NEAR_MAX = 16_384
export const DEFAULT_NEAR_SIZE = 16 * 2 ** 20
