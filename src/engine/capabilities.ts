import type { EngineSettings } from '../common/settings.js'
import type { Stored } from './stored.js'

/** What changed since a moment. */
export interface Fences {
  /** A number that stands for this moment. */
  fence(): number
  /** Whether a load begun at `fence` may still be shared and stored. */
  permits(key: string, fence: number, tags?: readonly string[]): boolean
  /** Makes every value that carries the tag a miss, for all threads, before it returns. */
  invalidateTag(tag: string): void
}

/** Who loads what, of all threads. */
export interface Leases {
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
}

/** Reads of what is past its TTL, or soon will be. */
export interface StaleReads {
  /** The value under `key`, its TTL passed or not, and for how many ms it has been stale; 0 if it is not. */
  getStale(key: string): [value: Stored, staleMs: number] | undefined
  /** Whether no more than this part of its TTL, from 0 to 1, is left to the value under `key`. */
  isDue(key: string, part: number): boolean
}

/** Changes that depend on what is there, each at one instant for all threads. */
export interface AtomicWrites {
  /** As `set`, where there is no readable value under `key`; else nothing is changed, and it is `Present`. */
  setIfAbsent(
    key: string,
    value: Stored,
    ttl?: number,
    tags?: readonly string[],
    grace?: number,
    fence?: number,
  ): number
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
}

/** A key as a walk meets it. */
export interface WalkedKey {
  readonly key: string
  /** How much its entry was used, in the engine's own measure: of two entries the one with more is the hotter. */
  readonly uses: number
}

/** Entries as `records.ts` writes them. */
export interface RecordSlice {
  readonly count: number
  readonly bytes: Uint8Array
}

/** What became of records. */
export interface Restored {
  /** The bytes that were read; -1 if there is no record where the next one should be. */
  readonly read: number
  readonly stored: number
  /** Those for which there is a readable value. */
  readonly present: number
  readonly expired: number
  /** Those whose key changed after the fence. */
  readonly fenced: number
  readonly tooLarge: number
  /** Those that have tags, which no engine can tell. */
  readonly tagged: number
  readonly noRoom: number
}

/** Looks at everything that is held, in slices that take far less than a ms, and all of it back. */
export interface Walks {
  /** The keys, in no particular order. */
  keys(): Generator<string, void, undefined>
  /** The keys of the readable entries, in no particular order. */
  walk(): Generator<WalkedKey[], void, undefined>
  /** The readable entries, up to `max` of them. */
  toRecords(max: number): Generator<RecordSlice, void, undefined>
  /**
   * Stores up to `limit` of the records, no more than `room` of them, each where there is no readable value and nothing
   * changed since `fence`. They had as long to live as they say `age` ms ago.
   */
  fromRecords(records: Uint8Array, age: number, fence: number, room: number, limit: number): Restored
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

/** What decoded copies of an engine's values are made from. */
export type NearSource = MemorySource | EntrySource

/** What the native engine lends to a thread that keeps copies. */
export interface NearMemory {
  /** The number of the last invalidation, then one for each group of keys: that of the last change in it. */
  readonly versions: Float64Array
  /** The ms of this moment, as deadlines are given; `Infinity` while it is not known. */
  readonly time: Float64Array
  /** Where {@link MemorySource.getNear} reports. */
  readonly report: Float64Array
  /** The ms before a deadline in which `time` is not to be relied on. */
  readonly margin: number
}

/** The part of the native engine that copies are made from: numbers in memory tell what changed. */
export interface MemorySource {
  readonly kind: 'rust'
  /** Whether the time is not that of the system, which is all that the memory tells. */
  readonly hasOwnClock: boolean
  /** Whether reads are answered only while a lease is held, which {@link MemorySource.now} alone tells. */
  readonly isTiered: boolean
  /** `undefined` where the runtime does not allow it. */
  nearMemory(): NearMemory | undefined
  /** The ms of this moment, as deadlines are given; `Infinity` while reads are not answered. */
  now(): number
  get(key: string): Stored | undefined
  /** As `get`, with a report; `null` if the value is still that of the write of this number. */
  getNear(key: string, written: number): Stored | null | undefined
  peek(key: string): Stored | undefined
  /** Counts hits, and counts entries as used: three numbers each, the hash's halves and the write. */
  reportReads(read: Float64Array, count: number, hits: number): void
}

/** An entry of the fallback engine; another value under its key is another entry. */
export interface SourceEntry {
  readonly value: Stored
  /** The bytes that it is charged. */
  readonly size: number
  /** What a near cache made of the value, and which one; the engine leaves it alone. */
  copy: { readonly owner: object; readonly value: unknown } | undefined
}

/** The part of the fallback engine that copies are made from: an entry has the value that it was made with. */
export interface EntrySource {
  readonly kind: 'js'
  readonly settings: EngineSettings
  /** The entry that `get` reads, counted and used as by it. */
  use(key: string): SourceEntry | undefined
  /** The entry that `peek` reads. */
  find(key: string): SourceEntry | undefined
  /** Counts a read that was answered with a decoded copy. */
  countNearHit(): void
}

/** A place in the record of changes that processes share: an epoch of it, and a sequence number within. */
export type Moment = readonly [epoch: number, sequence: number]

/**
 * What all threads that have a tiered cache open know of the record of changes behind it, and the lease by which they
 * answer reads. Epochs and sequence numbers are whole numbers below 2⁵³; epoch 0 is none.
 */
export interface TierControl {
  /** The ms of this moment, on the clock of {@link TierControl.extend}; also while no lease is held. */
  time(): number
  /**
   * Has reads answered up to `until`, in ms of {@link TierControl.time}, if that is later than before and `epoch` is the
   * one that was seen last; says whether it is.
   */
  extend(epoch: number, until: number): boolean
  /** Makes every read a miss until the next {@link TierControl.extend}. Nothing is removed. */
  suspend(): void
  /** Up to when reads are answered; not later than now while they are not. */
  heldUntil(): number
  /** The newest moment that any thread was told of. */
  seen(): Moment
  /**
   * Notes what a reply told. `false` if its epoch is one that was left behind: nothing is noted then. A newer epoch
   * suspends.
   */
  saw(epoch: number, sequence: number): boolean
  /** Asks to be the thread that follows the changes; says whether it is. It is until its engine is closed. */
  follow(): boolean
  /**
   * Writes into `into` what the calls above tell, at once: `heldUntil()`, `seen()`, two numbers, `pendingCount()`, and
   * `time()`, which is looked at last.
   */
  glance(into: Float64Array): void
  /** Up to which moment changes are applied to this cache. */
  position(): Moment
  advance(epoch: number, sequence: number): void
  /** Notes changes that were not acknowledged. Of more than 1 024 there is one left: `c`, the removal of everything. */
  pend(names: readonly string[]): void
  /** What was not acknowledged, oldest first, each under a number of its own. */
  pending(): [ids: number[], names: string[]]
  /** How many those are. */
  pendingCount(): number
  /** Strikes off what was delivered, by number. */
  delivered(ids: readonly number[]): void
  /** Notes changes that were acknowledged in this epoch. They are kept for `ms` ms, or as one `c` if there are many. */
  acknowledged(epoch: number, names: readonly string[], ms: number): void
  /** Makes what was acknowledged in another epoch than this one pending again. */
  redeliver(epoch: number): void
}
