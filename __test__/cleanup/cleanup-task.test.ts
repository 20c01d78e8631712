import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { describe, expect, it } from 'vitest'
import { Cache, CleanupTask, PolicyCache } from '../../src/index.js'
import { engines, sleep, thrown } from '../support/engines.js'

/** A cache of `entries` that have expired, and one that has not. */
function filled(engine: 'rust' | 'js', entries: number): Cache<number> {
  let now = 0
  const cache = new Cache<number>({ engine, max: entries + 1, clock: { now: () => now } })
  cache.set('lasting', 1)
  for (let number = 0; number < entries; number++) cache.set(`k${number}`, number, 5)
  now = 1_000
  expect(cache.size).toBe(entries + 1)
  return cache
}

describe.each(engines)('CleanupTask on the %s engine', (engine) => {
  it('removes what expired, by itself', async () => {
    using cache = filled(engine, 100)
    using task = new CleanupTask(cache, { interval: 10 })
    task.start()
    task.start()
    while (task.getMetrics().runs < 2) await sleep(5)
    expect(cache.size).toBe(1)
    expect(task.getMetrics()).toMatchObject({ running: true, removed: 100, errors: 0, lastRemoved: 0 })
    expect(task.healthCheck()).toEqual({ healthy: true, running: true, reason: undefined })
    await task.stop()
    const { runs } = task.getMetrics()
    await sleep(40)
    expect(task.getMetrics()).toMatchObject({ running: false, runs })
    expect(task.healthCheck()).toMatchObject({ healthy: false, reason: 'not started' })
  })

  it('works in slices between which the event loop turns', async () => {
    using cache = filled(engine, 60_000)
    const task = new CleanupTask(cache, { sliceMs: 0 })
    let turns = 0
    const spin = setInterval(() => turns++, 0)
    const first = task.trigger()
    const joined = task.trigger()
    expect(await first).toBe(60_000)
    expect(await joined).toBe(60_000)
    clearInterval(spin)
    expect(task.getMetrics().slices).toBeGreaterThan(50)
    expect(turns).toBeGreaterThan(5)
    expect(cache.size).toBe(1)
    expect(task.getMetrics().lastDurationMs).toBeGreaterThan(0)
    expect(task.getMetrics().longestSliceMs).toBeGreaterThan(0)
  })

  it('stops after the slice in hand', async () => {
    using cache = filled(engine, 60_000)
    const task = new CleanupTask(cache, { sliceMs: 0 })
    const run = task.trigger()
    await task.stop()
    const removed = await run
    expect(task.getMetrics().slices).toBe(1)
    expect(removed).toBeLessThan(60_000)
    expect(cache.size).toBe(60_001 - removed)
    expect(await task.trigger()).toBe(60_000 - removed)
  })

  it('cleans a PolicyCache', async () => {
    using decisions = new PolicyCache({ engine, ttl: { critical: 1 } })
    const query = { user: 'u', action: 'a', resource: 'r' }
    await decisions.set(query, { allowed: true })
    await sleep(10)
    expect(await decisions.size()).toBe(1)
    expect(await new CleanupTask(decisions).trigger()).toBe(1)
    expect(await decisions.size()).toBe(0)
  })

  it('counts a failure, tells of it, and goes on', async () => {
    const cache = filled(engine, 1)
    const task = new CleanupTask(cache, { interval: 5 })
    const told: unknown[] = []
    const listen = (message: unknown) => told.push(message)
    subscribe('sark-cache:cleanup', listen)
    cache.close()
    await expect(task.trigger()).rejects.toMatchObject({ code: 'ERR_CACHE_CLOSED' })
    task.start()
    while (task.getMetrics().errors < 3) await sleep(5)
    expect(task.healthCheck()).toMatchObject({ healthy: false, reason: expect.stringContaining('closed') })
    await task.stop()
    unsubscribe('sark-cache:cleanup', listen)
    expect(told.length).toBeGreaterThanOrEqual(3)
    expect(told[0]).toMatchObject({ removed: 0, error: { code: 'ERR_CACHE_CLOSED' } })
  })
})

describe('CleanupTask', () => {
  it('is unhealthy when its runs do not come', async () => {
    const late = { purgeSlice: () => ({ removed: 0, done: false }) }
    const task = new CleanupTask(late, { interval: 1, sliceMs: 0 })
    task.start()
    await sleep(40)
    expect(task.healthCheck()).toMatchObject({
      healthy: false,
      reason: expect.stringContaining('no run for'),
    })
    await task.stop()
  })

  it('runs once an interval, also when it was stopped and started in the middle of a run', async () => {
    let slices = 0
    const busy = { purgeSlice: () => ({ removed: 0, done: ++slices % 30 === 0 }) }
    const task = new CleanupTask(busy, { interval: 1, sliceMs: 0 })
    task.start()
    await sleep(15)
    const stopping = task.stop()
    task.start()
    await stopping
    await sleep(30)
    await task.stop()
    const { runs } = task.getMetrics()
    await sleep(80)
    expect(task.getMetrics().runs).toBe(runs)
  })

  it('refuses wrong arguments', () => {
    using cache = new Cache()
    expect(thrown(() => new CleanupTask(null as never))).toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' })
    expect(thrown(() => new CleanupTask({} as never))).toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' })
    expect(thrown(() => new CleanupTask(cache, { interval: -1 }))).toMatchObject({ code: 'ERR_OUT_OF_RANGE' })
    expect(thrown(() => new CleanupTask(cache, { sliceMs: Number.NaN }))).toMatchObject({
      code: 'ERR_OUT_OF_RANGE',
    })
  })
})
