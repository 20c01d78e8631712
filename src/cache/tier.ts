import type { Engine } from '../engine/engine.js'
import type { Stored } from '../engine/stored.js'
import type { Missing, SecondTier } from '../loading/second-tier.js'
import type { CacheKind } from './kind.js'
import type { TierTotals } from './tier-counts.js'
import type { TierHealth } from './tier-health.js'

/** What a tier asks of the cache in front of it. */
export interface TierHost {
  readonly name: string | undefined
  readonly kind: CacheKind
  /** The name by which engines know it, which no other cache has; `undefined` for a private one. */
  readonly engineName: string | undefined
  readonly engine: Engine
  /** To be called before anything is stored in the engine. */
  onWrite(): void
  /** To be called after this thread has stored or removed a value in the engine. */
  wrote(key: string): void
  delete(key: string): boolean
  clear(): void
}

/** What a change concerns: a key, a tag, or everything. */
export type Change =
  | { readonly kind: 'key'; readonly key: string }
  | { readonly kind: 'tag'; readonly tag: string }
  | { readonly kind: 'clear' }

/** A moment, here and in the tier: what was loaded after it is stored only if nothing of it changed since. */
export interface TierFence {
  /** The tier that it is of. */
  readonly owner: object
  /** That of the engine. */
  readonly local: number
  readonly epoch: number
  readonly sequence: number
  /** When that was, by the tier's clock. */
  readonly at: number
}

/** A value that is stored in both tiers. */
export interface TierEntry {
  readonly key: string
  readonly stored: Stored
  readonly ttl: number | undefined
  readonly tags: readonly string[]
}

/** The tier behind a cache, as what is built on caches uses it. */
export interface Tier {
  readonly second: SecondTier
  /**
   * Makes what was changed a miss, here at once, and in every process. Resolves once the tier has acknowledged that.
   *
   * @throws `ERR_CACHE_CHANGE_PENDING` if it has not yet: it is tried again then, and holds in this process.
   */
  change(changes: readonly Change[]): Promise<void>
  /** As {@link Tier.change} of its key, and stores the value, if nothing else changed it meanwhile; says whether. */
  write(entry: TierEntry): Promise<boolean>
  /** Stores a value that changes nothing for others: it was loaded after `fence`. Says whether it did. */
  fill(entry: TierEntry, fence: TierFence): boolean
  /**
   * Reads the tier, and stores what is found in the cache.
   *
   * @param accepts Whether it is a value of this cache: whoever may write to the tier may have put anything there.
   * @param onMiss Told, where nothing was found, what a load that begins now is to be given as `LoadRequest.missing`.
   */
  get(
    key: string,
    accepts: (stored: Stored) => boolean,
    onMiss?: (missing: Missing) => void,
  ): Promise<Stored | undefined>
  fence(): TierFence
  /** Resolves when values of this process may be served. @throws The reason of `signal`; `ERR_CACHE_CLOSED`. */
  ready(signal: AbortSignal | undefined): Promise<void>
  health(): TierHealth
  /** What all threads counted. */
  totals(): TierTotals
  /** Ends it at once. */
  close(): void
}

/** How a cache is given a tier. */
export interface TierFactory {
  /**
   * Called before a cache is opened.
   *
   * @throws If it cannot be the tier of a cache of this name.
   */
  check(name: string | undefined): void
  /** @throws Unless it names what processes share by, for caches of one name that have nothing in common. */
  checkNamed(namespace: string): void
  /** The engine with its tags as the tier knows them. */
  wrap(engine: Engine): Engine
  /** The key as the tier and the engine know it. */
  keyOf(key: string): string
  open(host: TierHost): Tier
}
