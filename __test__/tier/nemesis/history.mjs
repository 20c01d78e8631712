import { now, WRITERS } from './shapes.mjs'

/** Ms between two looks, and how many are kept. */
export const LOOK_EVERY = 10
const SLOTS = 320

/**
 * What was acknowledged by when, as the main thread of a process saw it: what a look shows had happened by the time at
 * which the look was over. A look that is late makes the oracle milder, never wrong.
 */
export class History {
  #size
  #times
  #head
  #looks
  #lastAt = Number.NEGATIVE_INFINITY
  #lastSlot = -1
  #lastTime = 0

  /** @param {number} keys @param {SharedArrayBuffer} [memory] */
  constructor(keys, memory = new SharedArrayBuffer(8 + SLOTS * 8 + SLOTS * keys * WRITERS * 4)) {
    this.memory = memory
    this.#size = keys * WRITERS
    this.#head = new Int32Array(memory, 0, 1)
    this.#times = new Float64Array(memory, 8, SLOTS)
    this.#looks = new Uint32Array(memory, 8 + SLOTS * 8)
  }

  /** @param {import('./ledger.mjs').Ledger} ledger @param {Uint32Array} own A buffer of the caller's. */
  look(ledger, own) {
    ledger.allAcknowledged(own)
    const slot = (Atomics.load(this.#head, 0) + 1) % SLOTS
    // Whoever still reads the slot sees that it is another one.
    this.#times[slot] = Number.POSITIVE_INFINITY
    this.#looks.set(own, slot * this.#size)
    this.#times[slot] = now()
    Atomics.store(this.#head, 0, slot)
  }

  /** Copies what was acknowledged of a key by `at`. @param {number} key @param {number} at @param {Uint32Array} into */
  copy(key, at, into) {
    if (!(at - this.#lastAt < 1 && this.#lastSlot >= 0)) this.#find(at)
    const slot = this.#lastSlot
    if (slot < 0) return
    const from = slot * this.#size + key * WRITERS
    for (let writer = 0; writer < WRITERS; writer++) into[writer] = this.#looks[from + writer]
    if (this.#times[slot] !== this.#lastTime) into.fill(0, 0, WRITERS)
  }

  #find(/** @type {number} */ at) {
    const head = Atomics.load(this.#head, 0)
    this.#lastAt = at
    this.#lastSlot = -1
    for (let back = 0; back < SLOTS - 8; back++) {
      const slot = (head - back + SLOTS) % SLOTS
      const time = this.#times[slot]
      if (time > 0 && time <= at) {
        this.#lastSlot = slot
        this.#lastTime = time
        return
      }
    }
  }
}
