import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { describe, expect, it } from 'vitest'
import { Cache, CleanupTask, PolicyCache, RustCache } from '../src/index.js'
import { engines, sleep, thrown, withoutRust } from './helpers/engines.js'

async function filled(engine: 'rust' | 'js', entries: number): Promise<Cache<number>> {
  const cache = new Cache<number>({ engine, max: entries + 1 })
  cache.set('lasting', 1)
  // Writes remove what has expired, so nothing may expire before the last one.
  const expiresAt = Date.now() + 20 + entries / 100
  for (let number = 0; number < entries; number++) cache.set(`k${number}`, number, { expiresAt })
  await sleep(expiresAt - Date.now() + 10)
  expect(cache.size).toBe(entries + 1)
  return cache
}

describe.each(engines)('CleanupTask on the %s engine', (engine) => {
  it('removes what expired, by itself', async () => {
    using cache = await filled(engine, 100)
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
    using cache = await filled(engine, 60_000)
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
    using cache = await filled(engine, 60_000)
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
    const cache = await filled(engine, 1)
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

describe.skipIf(withoutRust)('RustCache', () => {
  it('takes strings and gives strings', async () => {
    using cache = new RustCache({ max: 2 })
    expect(cache.set('a', '1')).toBe(true)
    expect(cache.set('b', '漢', 60_000)).toBe(true)
    expect(cache.get('b')).toBe('漢')
    expect(cache.get('x')).toBeUndefined()
    expect(cache.set('c', '3', 5)).toBe(true)
    expect(cache.size()).toBe(2)
    await sleep(15)
    expect(cache.cleanupExpired()).toBe(1)
    expect(cache.delete('b')).toBe(true)
    expect(cache.delete('b')).toBe(false)
    cache.set('d', '', 1)
    await sleep(10)
    expect(await new CleanupTask(cache).trigger()).toBe(1)
    cache.set('e', '')
    cache.clear()
    expect(cache.size()).toBe(0)
    expect(cache.set('e', '', 0)).toBe(false)
  })

  it('refuses what is no string', () => {
    using cache = new RustCache()
    expect(thrown(() => cache.set('k', 5 as never))).toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' })
    expect(thrown(() => cache.get(5 as never))).toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' })
    expect(thrown(() => cache.set('k', 'v', -1))).toMatchObject({ code: 'ERR_OUT_OF_RANGE' })
    expect(thrown(() => new RustCache({ max: 0 }))).toMatchObject({ code: 'ERR_OUT_OF_RANGE' })
    expect(thrown(() => new RustCache({ ttl: 0 }))).toMatchObject({ code: 'ERR_OUT_OF_RANGE' })
    expect(thrown(() => new RustCache({ ttl: Number.NaN }))).toMatchObject({ code: 'ERR_OUT_OF_RANGE' })
  })

  it('shares its name with its own kind alone', () => {
    using cache = new RustCache({ name: 'raw', maxSize: 10_000, ttl: 1_000 })
    cache.set('k', 'no JSON')
    expect(thrown(() => new Cache({ name: 'raw' }))).toMatchObject({ code: 'ERR_CACHE_OPTIONS_CONFLICT' })
  })
})
