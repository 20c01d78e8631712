import type { TierCounts } from '../cache/tier-counts.js'
import type { SharedCounters } from '../engine/capabilities.js'
import type { Engine } from '../engine/engine.js'

export type { TierCounts } from '../cache/tier-counts.js'

export function noCounts(): TierCounts {
  return {
    remoteHits: 0,
    remoteMisses: 0,
    remoteStale: 0,
    remoteErrors: 0,
    remoteTimeouts: 0,
    remoteRefused: 0,
    fills: 0,
    fillErrors: 0,
    changes: 0,
    changesApplied: 0,
    clears: { epoch: 0, gap: 0 },
    suspendedReads: 0,
    pendingAdded: 0,
    pendingDelivered: 0,
  }
}

/** The counts as so many numbers. */
function flat({ clears, ...rest }: TierCounts): number[] {
  return [...Object.values(rest), clears.epoch, clears.gap]
}

const SIZE = flat(noCounts()).length

/** The counts of all threads of a cache: each adds what it counted from time to time. */
export class TotalCounts {
  readonly #shared: SharedCounters
  #told: number[] = flat(noCounts())

  constructor(engine: Engine) {
    this.#shared = engine.counters('tier', SIZE)
  }

  /** Adds what a thread has counted since the last time. */
  add(counts: TierCounts): void {
    const now = flat(counts)
    const deltas = Float64Array.from(now, (count, at) => count - (this.#told[at] as number))
    this.#told = now
    if (deltas.some((delta) => delta > 0)) this.#shared.add(deltas)
  }

  /** To be called when a thread starts its counts from zero. */
  restart(): void {
    this.#told = flat(noCounts())
  }

  read(): TierCounts {
    const all = this.#shared.read()
    const { clears: _, ...rest } = noCounts()
    const names = Object.keys(rest)
    const counts = Object.fromEntries(names.map((name, at) => [name, all[at]]))
    const [epoch, gap] = all.subarray(names.length)
    return { ...counts, clears: { epoch, gap } } as TierCounts
  }
}
