import { HISTOGRAM_SIZE, record } from '../common/latency.js'
import { CounterBatch } from '../engine/counter-batch.js'
import type { Engine } from '../engine/engine.js'
import type { LoadCounts } from './counters.js'

/** What all threads counted of loads. */
export interface LoadTotals extends LoadCounts {
  /** Callers that got the error of a load, or of a time limit, and no value. */
  failedCalls: number
  /** How long the functions of loads took that came to an end, failed or not. */
  latency: Float64Array
}

const COUNTERS = [
  'loads',
  'loadErrors',
  'loadsShared',
  'stale',
  'refreshes',
  'backedOff',
  'failedCalls',
] as const

const SIZE = COUNTERS.length + HISTOGRAM_SIZE

/** Counts the loads of a cache for all threads, namespaces included. A cache that loads nothing has no counters. */
export class LoadRecorder {
  readonly #engine: Engine
  #batch: CounterBatch | undefined

  constructor(engine: Engine) {
    this.#engine = engine
  }

  #open(): CounterBatch {
    this.#batch ??= new CounterBatch(this.#engine.counters('loads', SIZE), SIZE)
    return this.#batch
  }

  /** As {@link LoadRecorder.#open}; `undefined` if the cache was closed, for loads end later than that. */
  #openIfOpen(): CounterBatch | undefined {
    try {
      return this.#open()
    } catch {
      return undefined
    }
  }

  count(counter: (typeof COUNTERS)[number]): void {
    this.#openIfOpen()?.count(COUNTERS.indexOf(counter))
  }

  /** Notes that a function took from `startMs` until now. */
  time(startMs: number): void {
    const batch = this.#openIfOpen()
    if (batch !== undefined) record(batch, COUNTERS.length, performance.now() - startMs)
  }

  flushIfOpen(): void {
    this.#batch?.flushIfOpen()
  }

  read(): LoadTotals {
    const all = this.#open().read()
    const counts = Object.fromEntries(COUNTERS.map((counter, at) => [counter, all[at] as number]))
    return { ...counts, latency: all.subarray(COUNTERS.length) } as LoadTotals
  }

  reset(): void {
    this.#open().reset()
  }
}
