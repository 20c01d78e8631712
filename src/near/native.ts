import { freezeDeep } from '../common/freeze.js'
import { startTimer } from '../common/timers.js'
import type { MemorySource, NearMemory } from '../engine/capabilities.js'
import type { Stored } from '../engine/stored.js'
import {
  CELL,
  HALF,
  HIGH,
  INVALIDATION,
  LIMIT,
  LOW,
  NONE,
  NOTHING,
  SIZE,
  VERSION,
  WRITTEN,
} from './layout.js'
import {
  DEFAULT_NEAR_MAX,
  DEFAULT_NEAR_SIZE,
  type Decode,
  type NearCache,
  type NearOptions,
} from './near-cache.js'

/** Ms from the first read that is not reported to the report. */
const REPORT_AFTER = 100
/** Entries of one call of `reportReads`. */
const BATCH = 512
/** Reads after which a thread that does not come to its event loop looks whether to report. */
const LOOK_AFTER = 4_096
/** Reads for each entry to be reported that make a report cost next to nothing. */
const WORTH = 32
/** Entries up to which a report is in the order of their last reads. */
const ORDERED = 2_048
/**
 * Decoded values of one thread, each served as long as a read of the engine would return the same.
 *
 * That is so while three things hold: nothing was written to a key of its group, nothing was invalidated anywhere
 * (else the engine is asked, which decodes nothing if the value is the same), and its time is not nearly up. All
 * three are loads from memory that the engine writes from whatever thread. When there are too many copies, one
 * goes that was not read lately (CLOCK, F. J. Corbató, 1968).
 */
export class NativeNearCache<V> implements NearCache<V> {
  readonly #source: MemorySource
  readonly #decode: Decode<V>
  readonly #isExact: boolean
  /** `null` where there is none. */
  #memory: NearMemory | null | undefined
  #versions = NOTHING.versions
  #time = NOTHING.time
  #report = NOTHING.report
  readonly #max: number
  readonly #maxSize: number
  /** Reads that may stay unreported when the engine is about to choose what to evict. */
  readonly #lag: number
  /** The place of each key's copy. */
  readonly #places = new Map<string, number>()
  /** By place: the first half of the numbers, and the second. */
  #checks = new Float64Array(0)
  #facts = new Float64Array(0)
  /** By place: the number of the last read that is not reported, 0 if all are. */
  #reads = new Float64Array(0)
  /** By place: 1 for a copy read since the hand of the clock last passed. */
  #recent = new Uint8Array(0)
  #values: (V | undefined)[] = []
  #keys: (string | undefined)[] = []
  /** Places without a copy. */
  #free: number[] = []
  #bytes = 0
  #hand = 0
  /** Reads that are not reported. */
  #hits = 0
  #lookAt = LOOK_AFTER
  /** Places of copies read since the last report. */
  #pending: number[] = []
  #timer: NodeJS.Timeout | undefined

  constructor(
    source: MemorySource,
    decode: Decode<V>,
    { max, maxSize, clock }: NearOptions,
    /** The most entries of the cache. */
    entries: number,
  ) {
    this.#source = source
    this.#decode = decode
    this.#isExact = clock === 'exact' || source.hasOwnClock
    this.#max = Math.min(max ?? DEFAULT_NEAR_MAX, entries)
    this.#maxSize = maxSize ?? DEFAULT_NEAR_SIZE
    this.#lag = Math.min(512, Math.max(1, Math.floor(Math.min(entries, 2 ** 31) / 64)))
  }

  get(key: string): V | undefined {
    const place = this.#places.get(key)
    if (place !== undefined && this.#holds(place)) {
      const hits = ++this.#hits
      if (this.#reads[place] === 0) this.#enter(place)
      this.#reads[place] = hits
      if (hits === this.#lookAt) this.#look()
      return this.#values[place]
    }
    return this.#read(key, place)
  }

  peek(key: string): V | undefined {
    const place = this.#places.get(key)
    if (place !== undefined && this.#holds(place)) return this.#values[place]
    const stored = this.#source.peek(key)
    return stored === undefined ? undefined : this.#frozen(stored)
  }

  #frozen(stored: Stored): V {
    const value = this.#decode(stored)
    freezeDeep(value)
    return value
  }

  #borrow(): void {
    this.#memory = this.#source.nearMemory() ?? null
    const { versions, time, report } = this.#memory ?? NOTHING
    this.#versions = versions
    this.#time = time
    this.#report = report
  }

  /** Whether a read of the engine would return what the copy was made of. */
  #holds(place: number): boolean {
    const checks = this.#checks
    const at = place * HALF
    if (this.#versions[checks[at + CELL] as number] !== checks[at + VERSION]) return false
    if (this.#versions[0] !== checks[at + INVALIDATION]) return false
    const limit = checks[at + LIMIT] as number
    return limit === Infinity || (this.#isExact ? this.#source.now() : (this.#time[0] as number)) < limit
  }

  /** Notes that a copy was read for the first time since the last report. */
  #enter(place: number): void {
    this.#recent[place] = 1
    this.#pending.push(place)
    // Unreferenced: a report keeps no process alive.
    this.#timer ??= startTimer(REPORT_AFTER, () => this.#onTimer())
  }

  /** Reports, if that costs little; what others write could push out what this thread reads without pause. */
  #look(): void {
    if (this.#hits >= WORTH * this.#pending.length) this.flush()
    else this.#lookAt += LOOK_AFTER
  }

  #onTimer(): void {
    this.#timer = undefined
    try {
      this.flush()
    } catch {
      // The cache was closed, or its clock tells no time: what was read is not reported, and nobody is there to tell.
    }
  }

  /** Reads from the engine, and keeps what it finds. */
  #read(key: string, place: number | undefined): V | undefined {
    this.flushIfOwed()
    if (this.#memory === undefined) this.#borrow()
    if (this.#memory === null) {
      const stored = this.#source.get(key)
      return stored === undefined ? undefined : this.#frozen(stored)
    }
    const known = place === undefined ? NONE : (this.#facts[place * HALF + WRITTEN] as number)
    const stored = this.#source.getNear(key, known)
    if (stored === null) {
      this.#note(place as number)
      return this.#values[place as number]
    }
    const value = stored === undefined ? undefined : this.#decode(stored)
    // Bytes cannot be frozen, and some of what the v8 serializer makes cannot.
    const keep =
      typeof stored === 'string' ? freezeDeep(value) : stored !== undefined && this.#isFrozen(value)
    const size = this.#report[HALF + SIZE] as number
    if (keep && size <= this.#maxSize) {
      this.#keep(key, place, value as V)
    } else if (place !== undefined) {
      this.#drop(place)
    }
    return value
  }

  #isFrozen(value: V | undefined): boolean {
    return !(value instanceof Uint8Array) && freezeDeep(value)
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
    const place = known ?? this.#take(key)
    this.#values[place] = value
    this.#note(place)
    this.#recent[place] = 1
    while (this.#bytes > this.#maxSize) this.#evict(place)
  }

  /** An empty place, which is the key's from now on. */
  #take(key: string): number {
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
    // Reads that are not reported yet name their places.
    if (this.#pending.length > 0) this.flush()
    for (;;) {
      const place = this.#hand
      this.#hand = (place + 1) % this.#keys.length
      if (place === except || this.#keys[place] === undefined) continue
      if (this.#recent[place] === 0) {
        this.#drop(place)
        return
      }
      this.#recent[place] = 0
    }
  }

  #drop(place: number): void {
    if (this.#reads[place] !== 0) this.flush()
    this.#places.delete(this.#keys[place] as string)
    this.#keys[place] = undefined
    this.#values[place] = undefined
    this.#recent[place] = 0
    this.#bytes -= this.#facts[place * HALF + SIZE] as number
    this.#facts[place * HALF + SIZE] = 0
    this.#free.push(place)
  }

  flushIfOwed(): void {
    if (this.#pending.length >= this.#lag) this.flush()
  }

  flush(): void {
    let hits = this.#hits
    if (hits === 0) return
    const pending = this.#pending
    const reads = this.#reads
    if (pending.length <= ORDERED) pending.sort((a, b) => (reads[a] as number) - (reads[b] as number))
    this.#hits = 0
    this.#lookAt = LOOK_AFTER
    this.#pending = []
    const facts = this.#facts
    const read = new Float64Array(3 * Math.min(BATCH, pending.length))
    for (let from = 0; from === 0 || from < pending.length; from += BATCH) {
      const count = Math.min(BATCH, pending.length - from)
      for (let entry = 0; entry < count; entry++) {
        const place = pending[from + entry] as number
        reads[place] = 0
        read[3 * entry] = facts[place * HALF + HIGH] as number
        read[3 * entry + 1] = facts[place * HALF + LOW] as number
        read[3 * entry + 2] = facts[place * HALF + WRITTEN] as number
      }
      this.#source.reportReads(read, count, hits)
      hits = 0
    }
  }

  clear(): void {
    this.flush()
    clearTimeout(this.#timer)
    this.#timer = undefined
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
