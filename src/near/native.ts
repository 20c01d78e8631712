import { freezeDeep, freezeParsed } from '../common/freeze.js'
import { startTimer } from '../common/timers.js'
import type { MemorySource, NearMemory } from '../engine/capabilities.js'
import type { Stored } from '../engine/stored.js'
import { FirstReads } from './first-reads.js'
import {
  CELL,
  CHANGES,
  HALF,
  HIGH,
  INVALIDATED,
  INVALIDATION,
  LIMIT,
  LOW,
  NONE,
  NOTHING,
  PRESSURE,
  SIZE,
  STEP,
  VERSION,
  WAS_READ,
  WRITTEN,
} from './layout.js'
import { LoadedValues } from './loaded.js'
import {
  DEFAULT_NEAR_MAX,
  DEFAULT_NEAR_SIZE,
  type Decode,
  type NearCache,
  type NearOptions,
} from './near-cache.js'
import { Patience } from './patience.js'
import { ReadReport } from './reports.js'

/** Ms from the first read that is not reported to the report. */
const REPORT_AFTER = 100
/** Reads after which a thread that does not come to its event loop looks whether to report. */
const LOOK_AFTER = 4_096
/** Reads for each entry to be reported that make a report cost next to nothing. */
const WORTH = 256
/** The most entries, and one, of a cache in which evictions know of every read: nothing is sure there. */
const EXACT = 128
/** Entries up to which a report is in the order of their last reads. */
const ORDERED = 2_048
/** Ms for which copies are sure at most: reads of them are not noted one by one, and their order is to be known. */
const SURE_FOR = 2_000
/** The part of its life that is left to a copy, for which it may be sure. */
const SURE_PART = 1 / 16
/** Copies that go between two reports, at most. */
const MOST_GONE = 4_096
/** Of a copy: it was read since the hand of the clock last passed. */
const RECENT = 1
/** It was read again after it was made: so will the next one of its key be. */
const AGAIN = 2
/** Reads that are counted without a report of what was read; up to here the count is a small integer. */
const MOST_UNREPORTED = 2 ** 29

/** Whether the compiler of the runtime takes loads of memory that others write out of loops (JavaScriptCore). */
const HOISTS_LOADS = process.versions.bun !== undefined

const bits = new BigInt64Array(1)
const number = new Float64Array(bits.buffer)

/**
 * Decoded values of one thread, each served as long as a read of the engine would return the same.
 *
 * That is so while three things hold: nothing was written to a key of its group, nothing was invalidated anywhere
 * (else the engine is asked, which decodes nothing if the value is the same), and its time is not nearly up. All
 * three are loads from memory that the engine writes from whatever thread. What was found to hold after the count of
 * all changes was read holds as long as that count stands still: such copies are sure, and lie in a map of their own
 * by key, which is emptied when the count moves by what is not a write of this thread. When there are too many copies,
 * one goes that was not read lately (CLOCK, F. J. Corbató, 1968).
 */
export class NativeNearCache<V> implements NearCache<V> {
  readonly #source: MemorySource
  readonly #decode: Decode<V>
  readonly #freezesAll: boolean
  readonly #isExact: boolean
  readonly #isTiered: boolean
  /** `null` where there is none. */
  #memory: NearMemory | null | undefined
  #versions = NOTHING.versions
  #time = NOTHING.time
  #report = NOTHING.report
  /** The count of changes, for loads that stay where they are. */
  #changes = new BigInt64Array(NOTHING.versions.buffer)
  #fence = new Int32Array(NOTHING.versions.buffer)
  readonly #max: number
  readonly #maxSize: number
  /** By how many writes under pressure what was read may be behind. */
  readonly #lag: number
  /** Whether a report is in the exact order of reads. */
  readonly #isOrdered: boolean
  /** Copies that are sure while the count of changes is the one seen, and the time not later than this. */
  #sure = new Map<string, V | undefined>()
  /** NaN while none are. */
  #seen = Number.NaN
  #until = Infinity
  /** The count of changes when it was looked at last. */
  #count = Number.NaN
  readonly #patience = new Patience()
  /** The place of each key's copy. */
  readonly #places = new Map<string, number>()
  /** By place: the first half of the numbers, and the second. */
  #checks = new Float64Array(0)
  #facts = new Float64Array(0)
  /** By place: the number of the last checked read that is not reported, 0 if all are. */
  #reads = new Float64Array(0)
  /** By place: {@link RECENT} and {@link AGAIN}, or not. */
  #recent = new Uint8Array(0)
  #values: (V | undefined)[] = []
  #keys: (string | undefined)[] = []
  /** Places without a copy. */
  #free: number[] = []
  #bytes = 0
  #hand = 0
  /** Reads since the last report, those of them that are counted, and those that were checked. */
  #hits = 0
  #counted = 0
  #checked = 0
  /** Reads that were not checked when copies began to be sure. */
  #opened = 0
  #lookAt = LOOK_AFTER
  /** The count of writes under pressure at the last report. */
  #pressure = 0
  /** Places of copies read since the last report. */
  #pending: number[] = []
  /** Numbers of copies that were read since, and went. */
  #gone: number[] = []
  /** When the timer was first started of those that report nothing but counts. */
  #since = 0
  #timer: NodeJS.Timeout | undefined
  readonly #firstReads: FirstReads
  readonly #loaded = new LoadedValues<V>()

  constructor(
    source: MemorySource,
    decode: Decode<V>,
    { max, maxSize, clock }: NearOptions,
    /** The most entries of the cache. */
    entries: number,
    /** Whether what a caller gets of its own is frozen as well. */
    freezesAll: boolean,
  ) {
    this.#source = source
    this.#decode = decode
    this.#freezesAll = freezesAll
    this.#isTiered = source.isTiered
    this.#isExact = clock === 'exact' || source.hasOwnClock || source.isTiered
    this.#max = Math.min(max ?? DEFAULT_NEAR_MAX, entries)
    this.#maxSize = maxSize ?? DEFAULT_NEAR_SIZE
    this.#lag = Math.min(512, Math.max(1, Math.floor(Math.min(entries, 2 ** 31) / 512)))
    this.#isOrdered = entries < EXACT
    this.#firstReads = new FirstReads(this.#max)
  }

  get(key: string): V | undefined {
    if (HOISTS_LOADS) Atomics.load(this.#fence, 0)
    const value = this.#sure.get(key)
    if (
      value !== undefined &&
      this.#versions[CHANGES] === this.#seen &&
      (this.#time[0] as number) <= this.#until
    ) {
      if (++this.#hits === this.#lookAt) this.#look()
      return value
    }
    return this.#getChecked(key)
  }

  peek(key: string): V | undefined {
    if (HOISTS_LOADS) Atomics.load(this.#fence, 0)
    const value = this.#sure.get(key)
    if (
      value !== undefined &&
      this.#versions[CHANGES] === this.#seen &&
      (this.#time[0] as number) <= this.#until
    ) {
      return value
    }
    return this.#peekChecked(key)
  }

  #getChecked(key: string): V | undefined {
    const place = this.#places.get(key)
    if (place === undefined || !this.#holds(place)) return this.#read(key, place)
    this.#checked++
    const hits = ++this.#hits
    if (this.#reads[place] === 0) this.#enter(place)
    this.#reads[place] = hits
    this.#recent[place] = RECENT | AGAIN
    if (hits >= this.#lookAt) this.#look()
    const value = this.#values[place] as V
    if (!this.#isOrdered) this.#ponder(key, place, value)
    return value
  }

  #peekChecked(key: string): V | undefined {
    const place = this.#places.get(key)
    if (place !== undefined && this.#holds(place)) return this.#values[place]
    const stored = this.#source.peek(key)
    return stored === undefined ? undefined : this.#own(stored)
  }

  /** A value of the caller's own. */
  #own(stored: Stored): V {
    const value = this.#decode(stored)
    if (this.#freezesAll) this.#freeze(stored, value)
    return value
  }

  /** Whether all may have the value, for it cannot be changed: not bytes, nor some of what the v8 serializer makes. */
  #freeze(stored: Stored, value: V): boolean {
    if (typeof stored === 'string') return freezeParsed(value)
    return !(value instanceof Uint8Array) && freezeDeep(value)
  }

  #borrow(): void {
    this.#memory = this.#source.nearMemory() ?? null
    const { versions, time, report } = this.#memory ?? NOTHING
    this.#versions = versions
    this.#time = time
    this.#report = report
    this.#changes = new BigInt64Array(versions.buffer, versions.byteOffset + 8 * CHANGES, 1)
    this.#fence = new Int32Array(versions.buffer, versions.byteOffset + 8 * CHANGES, 1)
    this.#pressure = versions[PRESSURE] as number
  }

  /** Whether a read of the engine would return what the copy was made of. */
  #holds(place: number): boolean {
    const checks = this.#checks
    const at = place * HALF
    // Before the versions: what was applied before the lease was extended stands in them when the extension is seen.
    if (this.#isTiered && this.#source.now() >= (checks[at + LIMIT] as number)) return false
    if (this.#versions[checks[at + CELL] as number] !== checks[at + VERSION]) return false
    if (this.#versions[INVALIDATED] !== checks[at + INVALIDATION]) return false
    const limit = checks[at + LIMIT] as number
    return (
      limit === Infinity ||
      this.#isTiered ||
      (this.#isExact ? this.#source.now() : (this.#time[0] as number)) < limit
    )
  }

  /** Takes a copy that was found to hold for sure, if nothing changed for long enough. */
  #ponder(key: string, place: number, value: V): void {
    const count = this.#versions[CHANGES] as number
    if (count !== this.#count) {
      this.#onChange()
      this.#count = count
    } else if (count === this.#seen) {
      if (this.#reach(this.#checks[place * HALF + LIMIT] as number)) this.#sure.set(key, value)
    } else if (this.#patience.isEnough()) {
      // Copies that are checked after this load, which nothing may be moved before, are sure; this one was before it.
      bits[0] = Atomics.load(this.#changes, 0)
      this.#count = number[0] as number
      this.#seen = this.#count
      this.#opened = this.#hits - this.#checked
    }
  }

  /** Whether a copy that may be used up to a limit lasts as long as what is sure. */
  #reach(limit: number): boolean {
    if (limit >= this.#until) return true
    if (this.#isExact || this.#until !== Infinity) return false
    const now = this.#time[0] as number
    this.#until = now + Math.min(SURE_FOR, (limit - now) * SURE_PART)
    return true
  }

  #onChange(): void {
    if (Number.isNaN(this.#seen)) {
      this.#patience.disturb()
      return
    }
    this.#patience.settle(this.#hits - this.#checked - this.#opened, this.#sure.size)
    this.#doubt()
  }

  /** Nothing is sure any more. */
  #doubt(): void {
    this.#seen = Number.NaN
    this.#until = Infinity
    if (this.#sure.size > 0) this.#sure = new Map()
  }

  /** Notes that a copy was read for the first time since the last report. */
  #enter(place: number): void {
    this.#pending.push(place)
    // Unreferenced: a report keeps no process alive.
    if (this.#timer === undefined) {
      this.#since = performance.now()
      this.#startTimer()
    }
  }

  #startTimer(): void {
    this.#timer = startTimer(REPORT_AFTER, () => this.#onTimer())
  }

  /** Whether what was written meanwhile may push out what this thread reads without a pause. */
  #isOwed(): boolean {
    const written = (this.#versions[PRESSURE] as number) - this.#pressure
    return this.#pending.length > 0 && (this.#isOrdered || written >= this.#lag * STEP)
  }

  #look(): void {
    if (this.#isOwed() && this.#hits >= WORTH * this.#pending.length) {
      this.flush()
    } else {
      this.#lookAt = this.#hits + LOOK_AFTER
      this.#countReads()
    }
  }

  #onTimer(): void {
    this.#timer = undefined
    try {
      if (this.#isQuiet()) {
        this.#countReads()
        this.#startTimer()
      } else {
        this.flush()
      }
    } catch {
      // The cache was closed, or its clock tells no time: what was read is not reported, and nobody is there to tell.
    }
  }

  /** Whether copies are read, and nothing is evicted that depends on which. */
  #isQuiet(): boolean {
    const isRead = this.#hits !== this.#counted
    return isRead && this.#versions[PRESSURE] === this.#pressure && this.#hits < MOST_UNREPORTED
  }

  /** Counts reads, which keeps the time coming, and leaves the report of what was read for later. */
  #countReads(): void {
    this.#source.reportReads(new Float64Array(0), 0, this.#hits - this.#counted)
    this.#counted = this.#hits
    const now = performance.now()
    if (now - this.#since >= SURE_FOR) {
      this.#since = now
      this.#doubt()
    }
  }

  /** Reads from the engine, and keeps what it finds if it is likely to be read again. */
  #read(key: string, place: number | undefined): V | undefined {
    if (this.#isOwed()) this.flush()
    if (this.#memory === undefined) this.#borrow()
    if (this.#memory === null) {
      const stored = this.#source.get(key)
      return stored === undefined ? undefined : this.#own(stored)
    }
    if (place !== undefined && this.#isOutdated(place) && this.#isFirstRead(key, place)) {
      const stored = this.#source.get(key)
      if (stored !== undefined) return this.#own(stored)
      this.#drop(place)
      return undefined
    }
    const known = place === undefined ? NONE : (this.#facts[place * HALF + WRITTEN] as number)
    const stored = this.#source.getNear(key, known)
    if (stored === null) {
      this.#note(place as number)
      return this.#values[place as number]
    }
    if (stored === undefined) {
      if (place !== undefined) this.#drop(place)
      return undefined
    }
    return this.#take(key, place, stored)
  }

  /**
   * Whether the value whose copy was outdated is read for the first time since, and is none that will be read again;
   * from now on it was read.
   */
  #isFirstRead(key: string, place: number): boolean {
    const at = place * HALF
    if (this.#checks[at + WAS_READ] === 1 || this.#loaded.has(key)) return false
    if (((this.#recent[place] as number) & AGAIN) !== 0) return false
    this.#checks[at + WAS_READ] = 1
    return true
  }

  #isOutdated(place: number): boolean {
    return Number.isNaN(this.#checks[place * HALF + VERSION])
  }

  /** The value that the engine returned with a report, kept if it was read before. */
  #take(key: string, place: number | undefined, stored: Stored): V {
    const report = this.#report
    const loaded = this.#loaded.take(key, stored)
    const isSmall = (report[HALF + SIZE] as number) <= this.#maxSize
    if (loaded === undefined && isSmall && !this.#isWorthKeeping(place)) return this.#own(stored)
    const value = loaded ?? this.#decode(stored)
    const isFrozen = loaded !== undefined || this.#freeze(stored, value)
    if (isFrozen && isSmall) this.#keep(key, place, value)
    else if (place !== undefined) this.#drop(place)
    return value
  }

  /**
   * Whether a copy is made of the value that was reported: of one of a new key if there is room, or it was read before;
   * of the next one of a key if the last was read again, or it was read before.
   */
  #isWorthKeeping(place: number | undefined): boolean {
    const report = this.#report
    if (place === undefined) {
      if (this.#free.length > 0 || this.#keys.length < this.#max) return true
      return this.#firstReads.isSecond(report[HALF + WRITTEN] as number, report[HALF + LOW] as number)
    }
    if (this.#isOutdated(place) || ((this.#recent[place] as number) & AGAIN) !== 0) return true
    this.#outdate(place)
    this.#checks[place * HALF + WAS_READ] = 1
    return false
  }

  /** Takes over what was reported of the copy in a place. */
  #note(place: number): void {
    const at = place * HALF
    this.#bytes += (this.#report[HALF + SIZE] as number) - (this.#facts[at + SIZE] as number)
    for (let number = 0; number < HALF; number++) {
      this.#checks[at + number] = this.#report[number] as number
      this.#facts[at + number] = this.#report[HALF + number] as number
    }
    // Where the time is not asked for at each read, what is left of a life after this is for the engine.
    if (!this.#isExact)
      this.#checks[at + LIMIT] = (this.#report[LIMIT] as number) - (this.#memory?.margin ?? 0)
  }

  #keep(key: string, known: number | undefined, value: V): void {
    const place = known ?? this.#occupy(key)
    this.#values[place] = value
    this.#note(place)
    this.#recent[place] = RECENT
    while (this.#bytes > this.#maxSize) this.#evict(place)
  }

  /** An empty place, which is the key's from now on. */
  #occupy(key: string): number {
    if (this.#free.length === 0) {
      if (this.#keys.length < this.#max) this.#grow()
      else this.#evict()
    }
    const place = this.#free.pop() as number
    this.#places.set(key, place)
    this.#keys[place] = key
    return place
  }

  #grow(): void {
    const before = this.#keys.length
    const after = Math.min(this.#max, Math.max(64, 2 * before))
    const checks = new Float64Array(after * HALF)
    checks.set(this.#checks)
    const facts = new Float64Array(after * HALF)
    facts.set(this.#facts)
    const reads = new Float64Array(after)
    reads.set(this.#reads)
    const recent = new Uint8Array(after)
    recent.set(this.#recent)
    this.#checks = checks
    this.#facts = facts
    this.#reads = reads
    this.#recent = recent
    for (let place = after - 1; place >= before; place--) this.#free.push(place)
    for (let place = before; place < after; place++) {
      this.#keys.push(undefined)
      this.#values.push(undefined)
    }
  }

  /** Drops a copy that was not read lately, and never the one in `except`. */
  #evict(except = -1): void {
    for (;;) {
      const place = this.#hand
      this.#hand = (place + 1) % this.#keys.length
      const key = this.#keys[place]
      if (place === except || key === undefined) continue
      const recent = this.#recent[place] as number
      if ((recent & RECENT) === 0) {
        this.#drop(place)
        return
      }
      this.#recent[place] = recent & ~RECENT
      // So that its next read is one that is noted.
      this.#sure.delete(key)
    }
  }

  /** Lets go of a copy whose key has another value, and keeps its place. */
  #outdate(place: number): void {
    const at = place * HALF
    this.#values[place] = undefined
    this.#bytes -= this.#facts[at + SIZE] as number
    this.#facts[at + SIZE] = 0
    this.#facts[at + WRITTEN] = NONE
    this.#checks[at + VERSION] = Number.NaN
    this.#checks[at + WAS_READ] = 0
  }

  #drop(place: number): void {
    const at = place * HALF
    if (this.#reads[place] !== 0) {
      const facts = this.#facts
      this.#gone.push(facts[at + HIGH] as number, facts[at + LOW] as number, facts[at + WRITTEN] as number)
      this.#reads[place] = 0
      if (this.#gone.length >= 3 * MOST_GONE) this.flush()
    }
    const key = this.#keys[place] as string
    this.#places.delete(key)
    this.#sure.delete(key)
    this.#keys[place] = undefined
    this.#values[place] = undefined
    this.#recent[place] = 0
    this.#bytes -= this.#facts[at + SIZE] as number
    this.#facts[at + SIZE] = 0
    this.#free.push(place)
  }

  loaded(key: string, stored: Stored, value: V): void {
    if (typeof stored === 'string') this.#loaded.add(key, stored, value)
  }

  beforeWrite(): void {
    if (this.#isOwed()) this.flush()
  }

  wrote(key: string): void {
    const place = this.#places.get(key)
    if (place !== undefined) this.#outdate(place)
    const count = this.#versions[CHANGES] as number
    // One change since, which is this write: what others have changed was counted before, and seen, or is counted after.
    if (count !== this.#count + STEP) return
    if (this.#seen === this.#count) {
      // To put it in again costs less than where it was deleted.
      if (this.#sure.get(key) !== undefined) this.#sure.set(key, undefined)
      this.#seen = count
    }
    this.#count = count
  }

  flush(): void {
    const pending = this.#pending
    if (this.#hits === this.#counted && pending.length === 0) return
    const reads = this.#reads
    if (pending.length <= ORDERED) pending.sort((a, b) => (reads[a] as number) - (reads[b] as number))
    const gone = this.#gone
    const hits = this.#hits - this.#counted
    this.#pending = []
    this.#gone = []
    this.#hits = 0
    this.#counted = 0
    this.#checked = 0
    this.#lookAt = LOOK_AFTER
    this.#pressure = this.#versions[PRESSURE] as number
    this.#doubt()
    const report = new ReadReport(this.#source, pending.length + gone.length / 3, hits)
    for (let at = 0; at < gone.length; at += 3) {
      report.add(gone[at] as number, gone[at + 1] as number, gone[at + 2] as number)
    }
    const facts = this.#facts
    for (const place of pending) {
      // A place may have been entered twice, with another copy the second time.
      if (reads[place] === 0) continue
      reads[place] = 0
      const at = place * HALF
      report.add(facts[at + HIGH] as number, facts[at + LOW] as number, facts[at + WRITTEN] as number)
    }
    report.end()
  }

  clear(): void {
    this.flush()
    this.#doubt()
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#loaded.clear()
    this.#places.clear()
    this.#checks = new Float64Array(0)
    this.#facts = new Float64Array(0)
    this.#reads = new Float64Array(0)
    this.#recent = new Uint8Array(0)
    this.#values = []
    this.#keys = []
    this.#free = []
    this.#bytes = 0
    this.#hand = 0
  }

  /** How many copies are kept, and the bytes that their entries are charged. */
  get kept(): { count: number; bytes: number } {
    return { count: this.#places.size, bytes: this.#bytes }
  }
}
