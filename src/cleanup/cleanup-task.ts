import { setTimeout as pause } from 'node:timers/promises'
import { cleaned, debug } from '../common/channels.js'
import { describe, reading, wrongType } from '../common/errors.js'
import { defineOptions, duration } from '../common/options.js'
import { keepAlive, MAX_DELAY } from '../common/timers.js'
import { checkFunction } from '../common/validate.js'
import type { PurgeSlice } from '../engine/engine.js'

/** What a {@link CleanupTask} cleans: a `Cache`, a `PolicyCache` or a `RustCache`. */
export interface Purgeable {
  /** Removes expired entries for about `ms` of time; says whether any are left. */
  purgeSlice(ms: number): PurgeSlice
}

/** Options of a {@link CleanupTask}. */
export interface CleanupOptions {
  /** Ms from the end of one run to the start of the next. Default: 60 000. */
  interval?: number | undefined
  /** Ms for which a slice holds the event loop, at the most. Default: 2. */
  sliceMs?: number | undefined
}

/** What a {@link CleanupTask} has done. */
export interface CleanupMetrics {
  /** Whether it is started. */
  running: boolean
  /** Runs that came to their end. */
  runs: number
  /** Runs that failed. */
  errors: number
  /** Entries removed, in all runs. */
  removed: number
  /** Slices, in all runs. */
  slices: number
  /** Ms of the longest slice. */
  longestSliceMs: number
  /** When the last run ended, in ms since the epoch; `undefined` before the first. */
  lastRunAt: number | undefined
  /** Ms from start to end of the last run. */
  lastDurationMs: number
  /** Entries that the last run removed. */
  lastRemoved: number
  /** Why the last run failed; `undefined` if it did not. */
  lastError: unknown
}

/** What {@link CleanupTask.healthCheck} finds. */
export interface CleanupHealth {
  /** Whether it is started, did not fail the last time, and is not behind its time. */
  healthy: boolean
  running: boolean
  /** Why it is not healthy. */
  reason: string | undefined
}

const parse = defineOptions<CleanupOptions>('CleanupTask', { interval: duration, sliceMs: duration })

/** Runs that may be missed before the task is called unhealthy. */
const MISSED_RUNS = 3

/**
 * Removes expired entries from time to time, in slices between which the event loop turns.
 *
 * Expired entries are never returned and are evicted first, so this only frees memory earlier. The timer
 * does not keep the process alive.
 */
export class CleanupTask implements Disposable {
  readonly #cache: Purgeable
  readonly #interval: number
  readonly #sliceMs: number
  #timer: NodeJS.Timeout | undefined
  #current: Promise<number> | undefined
  #stopping = false
  #startedAt = 0
  #metrics: Omit<CleanupMetrics, 'running'> = {
    runs: 0,
    errors: 0,
    removed: 0,
    slices: 0,
    longestSliceMs: 0,
    lastRunAt: undefined,
    lastDurationMs: 0,
    lastRemoved: 0,
    lastError: undefined,
  }

  constructor(cache: Purgeable, options: CleanupOptions = {}) {
    if (typeof cache !== 'object' || cache === null)
      throw wrongType(`the cache must be an object, not ${describe(cache)}`)
    reading('the cache', () => checkFunction(cache.purgeSlice, 'purgeSlice of the cache'))
    const { interval = 60_000, sliceMs = 2 } = parse(options)
    this.#cache = cache
    // setTimeout takes no more; it would fire at once.
    this.#interval = Math.min(Math.max(1, interval), MAX_DELAY)
    this.#sliceMs = sliceMs
  }

  /** Begins to run every `interval` ms. Does nothing if it is started. */
  start(): void {
    if (this.#timer !== undefined) return
    this.#stopping = false
    this.#startedAt = Date.now()
    this.#schedule()
  }

  #schedule(): void {
    const timer = setTimeout(async () => {
      // What failed is in the metrics; the next run may do better.
      await this.#begin().catch(() => {})
      // It may have been stopped meanwhile, and even started anew.
      if (this.#timer === timer) this.#schedule()
    }, this.#interval).unref()
    this.#timer = timer
  }

  /** Ends the runs; resolves when the slice in hand is done. */
  async stop(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#stopping = true
    if (this.#current !== undefined) await keepAlive(this.#current).catch(() => {})
    this.#stopping = false
  }

  /** Runs now, or joins the run that is under way; resolves to the number of entries it removed. */
  trigger(): Promise<number> {
    return keepAlive(this.#begin())
  }

  #begin(): Promise<number> {
    this.#current ??= this.#run().finally(() => {
      this.#current = undefined
    })
    return this.#current
  }

  async #run(): Promise<number> {
    const metrics = this.#metrics
    const start = performance.now()
    let removed = 0
    try {
      for (;;) {
        const sliceStart = performance.now()
        const slice = this.#cache.purgeSlice(this.#sliceMs)
        metrics.slices++
        metrics.longestSliceMs = Math.max(metrics.longestSliceMs, performance.now() - sliceStart)
        removed += slice.removed
        metrics.removed += slice.removed
        if (slice.done || this.#stopping) break
        // Not setImmediate: one that is unref'd waits until something else wakes the event loop.
        await pause(1, undefined, { ref: false })
        if (this.#stopping) break
      }
      metrics.runs++
      metrics.lastError = undefined
    } catch (error) {
      metrics.errors++
      metrics.lastError = error
      throw error
    } finally {
      metrics.lastRunAt = Date.now()
      metrics.lastDurationMs = performance.now() - start
      metrics.lastRemoved = removed
      debug('clean-up removed %d entries in %d ms', removed, metrics.lastDurationMs)
      if (cleaned.hasSubscribers) {
        cleaned.publish({ removed, durationMs: metrics.lastDurationMs, error: metrics.lastError })
      }
    }
    return removed
  }

  /** What was done so far. */
  getMetrics(): CleanupMetrics {
    return { running: this.#timer !== undefined, ...this.#metrics }
  }

  /** Whether the task does its work. Changes nothing. */
  healthCheck(): CleanupHealth {
    const running = this.#timer !== undefined
    const { lastError, lastRunAt } = this.#metrics
    const idle = Date.now() - Math.max(lastRunAt ?? 0, this.#startedAt)
    let reason: string | undefined
    if (!running) reason = 'not started'
    else if (lastError !== undefined) reason = `the last run failed: ${lastError}`
    else if (idle > MISSED_RUNS * this.#interval) reason = `no run for ${idle} ms`
    return { healthy: reason === undefined, running, reason }
  }

  /** Ends the runs without waiting. */
  [Symbol.dispose](): void {
    void this.stop()
  }
}
