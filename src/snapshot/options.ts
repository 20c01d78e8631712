import { abortSignal, callable, count, defineOptions } from '../common/options.js'
import type { Decision, Evaluate } from '../policy/decision.js'
import type { SnapshotState } from './reader.js'

/** How a snapshot is written. */
export interface DumpOptions {
  /** The most records: of a `PolicyCache` the hottest. Default: all. */
  max?: number | undefined
  /** Ends the dump; the file stays as it was. */
  signal?: AbortSignal | undefined
}

/** What a dump did. */
export interface DumpResult {
  /** Entries or questions that were written. */
  written: number
  /** Questions that are not in the cache as such, for they are long; see the page on snapshots. */
  skipped: number
  /** Bytes of the file. */
  bytes: number
  durationMs: number
}

/** How a snapshot is loaded into a `Cache`. */
export interface LoadOptions {
  /**
   * The tags of an entry that was stored with tags; a snapshot does not hold them. What it names must be as many as the
   * entry had, else the entry is left out. Default: none, and entries with tags are left out.
   */
  tags?: ((key: string, value: unknown) => readonly string[]) | undefined
  /** Ends the load; what is loaded stays. */
  signal?: AbortSignal | undefined
}

/** How the questions of a snapshot are asked again. */
export interface AskOptions<D extends Decision> {
  /** Evaluations that are under way at a time, up to 1024. Default: 8. */
  concurrency?: number | undefined
  /** Instead of the one in the options of the cache. */
  evaluate?: Evaluate<D> | undefined
  /** Ends the load; what is loaded stays. */
  signal?: AbortSignal | undefined
}

/** What a load did. Each record that was intact is counted once. */
export interface LoadResult {
  /**
   * What the file was. `complete`: as it was written. `truncated`, `corrupt`: what is intact of it is loaded.
   * `missing`, `foreign` (another kind of file, cache or serializer, a link, or what another user could have written),
   * `newer` (of a later version of this package): nothing is loaded.
   */
  state: SnapshotState
  /** What was wrong with the file; `undefined` for `complete`. */
  reason: string | undefined
  /** Entries that were stored, or questions that were evaluated. */
  loaded: number
  /** Those for which the cache had a value already, which stays. */
  present: number
  /** Entries whose time was up. */
  expired: number
  /** Entries whose key or tag changed while the file was read. */
  overtaken: number
  /** Entries left out for their tags; see `tags`. */
  tagged: number
  /** Entries left out for want of room: nothing is evicted for what is loaded. */
  noRoom: number
  /** Questions whose evaluation failed. */
  failed: number
  durationMs: number
}

export function noResult(): LoadResult {
  return {
    state: 'complete',
    reason: undefined,
    loaded: 0,
    present: 0,
    expired: 0,
    overtaken: 0,
    tagged: 0,
    noRoom: 0,
    failed: 0,
    durationMs: 0,
  }
}

export const parseDump = defineOptions<DumpOptions>('dump', { max: count, signal: abortSignal })

export const parseLoad = defineOptions<LoadOptions>('load', {
  tags: callable<NonNullable<LoadOptions['tags']>>,
  signal: abortSignal,
})

export const parseAsk = defineOptions<AskOptions<never>>('load', {
  concurrency: count,
  evaluate: callable<Evaluate<never>>,
  signal: abortSignal,
})
