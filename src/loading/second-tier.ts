import type { Stored } from '../engine/stored.js'

/** A value of the second tier that may be believed. */
export interface Found {
  readonly kind: 'found'
  readonly stored: Stored
  /** When its TTL is over, by {@link SecondTier.now}. */
  readonly freshUntil: number
  /** The ms after that for which it may be served stale. */
  readonly grace: number
  readonly tags: readonly string[]
}

/** Nothing was found that may be believed, or nothing could be asked. */
export interface Missing {
  readonly kind: 'missing'
}

/** What another process refreshes already, or has refreshed: this one has nothing to do. */
export interface Refreshed {
  readonly kind: 'refreshed'
}

/** How long a loaded value is to live, in ms from the start of its load. */
export interface Life {
  readonly ttl: number
  readonly grace: number
}

/** A tier behind the cache of this process, which other processes share. */
export interface SecondTier {
  /** Ms on a clock of its own. */
  now(): number
  /**
   * Asks for a value before it is loaded. Rejects only where the cache is closed.
   *
   * @param refreshAhead For a refresh: the part of its TTL that a value must have left to be taken instead.
   * @param isOver Whether nobody wants to know any more.
   */
  find(
    key: string,
    refreshAhead: number | undefined,
    isOver: () => boolean,
  ): Promise<Found | Missing | Refreshed>
  /** What stands for `find` before a load that looks at nothing. */
  skip(): Missing
  /** Takes what a load returned. Not awaited, never throws. */
  keep(key: string, stored: Stored, life: Life, tags: readonly string[], missing: Missing): void
  /** Told that a load is over, whatever it came to. */
  end(key: string, missing: Missing): void
  /** Told that what was found is none of the values of the cache, or cannot be read. */
  refuse(): void
  /** Stores what was found in the cache; returns an `Outcome`. */
  adopt(key: string, found: Found, fence: number): number
  /** The value that was found no more than `ms` past its TTL when the load under way of this key began. */
  stale(key: string, ms: number): Stored | undefined
  /** Whether a caller may wait for a load that began at this moment. */
  joins(began: number): boolean
}
