import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Cache, type CacheOptions, PolicyCache } from '../../src/index.js'
import { engines, thrown, uniqueName } from '../support/engines.js'

describe.each(engines.flatMap((engine) => [[engine, 'Date'] as const, [engine, 'performance'] as const]))(
  'under fake timers, on the %s engine, with %s for a clock',
  (engine, clock) => {
    const open = (options: CacheOptions = {}) =>
      new Cache<string>({ engine, clock: clock === 'Date' ? Date : performance, ...options })

    beforeEach(() => {
      vi.useFakeTimers()
    })
    afterEach(() => {
      vi.useRealTimers()
    })

    it('values expire when the test says so, copies included', () => {
      for (const near of [{}, false] as const) {
        using cache = open({ ttl: 1_000, near })
        cache.set('k', 'v')
        cache.set('short', 'v', 10)
        expect(cache.get('k')).toBe('v')
        expect(cache.get('k')).toBe('v')
        vi.advanceTimersByTime(999)
        expect([cache.get('k'), cache.get('short')]).toEqual(['v', undefined])
        expect(cache.getRemainingTTL('k')).toBe(1)
        vi.advanceTimersByTime(1)
        expect([cache.get('k'), cache.peek('k'), cache.has('k')]).toEqual([undefined, undefined, false])
        cache.purgeStale()
        expect(cache.size).toBe(0)
      }
    })

    it('expiresAt is a time of the day', () => {
      using cache = open()
      cache.set('k', 'v', { expiresAt: Date.now() + 5_000 })
      vi.advanceTimersByTime(4_999)
      expect(cache.get('k')).toBe('v')
      vi.advanceTimersByTime(1)
      expect(cache.get('k')).toBeUndefined()
      expect(cache.set('k', 'v', { expiresAt: Date.now() - 1 })).toBe(false)
    })

    it('stale windows, refreshes and back-offs move with it', async () => {
      using cache = open({ ttl: 1_000, loading: { staleIfError: 500, retryAfter: 200 } })
      await cache.getOrSet('k', () => 'v')
      const load = vi.fn(() => Promise.reject(new Error('down')))
      vi.advanceTimersByTime(1_400)
      expect(await cache.getOrSet('k', load)).toBe('v')
      vi.advanceTimersByTime(200)
      await expect(cache.getOrSet('k', load)).rejects.toThrow('down')
      await expect(cache.getOrSet('k', load)).rejects.toThrow('down')
      expect(load).toHaveBeenCalledTimes(2)
      vi.advanceTimersByTime(200)
      await expect(cache.getOrSet('k', load)).rejects.toThrow('down')
      expect(load).toHaveBeenCalledTimes(3)
    })

    it('the TTL counts from the start of the load, by the clock', async () => {
      using cache = open({ ttl: 1_000 })
      await cache.getOrSet('k', async () => {
        vi.advanceTimersByTime(400)
        return 'v'
      })
      expect(cache.getRemainingTTL('k')).toBe(600)
      const loading = cache.getOrSet('never', () => new Promise<string>(() => {}), { hardTimeout: 50 })
      vi.advanceTimersByTime(50)
      await expect(loading).rejects.toMatchObject({ code: 'ERR_CACHE_LOAD_TIMEOUT' })
    })

    it('decisions live by it', async () => {
      using decisions = new PolicyCache({ engine, clock: Date, evaluate: () => ({ allowed: true }) })
      const asked = { user: 'u', action: 'a', resource: 'r' }
      await decisions.decide(asked)
      vi.advanceTimersByTime(59_999)
      expect(await decisions.get(asked)).toEqual({ allowed: true })
      vi.advanceTimersByTime(1)
      expect(await decisions.get(asked)).toBeUndefined()
    })
  },
)

describe.each(engines)('a clock of the caller on the %s engine', (engine) => {
  it('never goes back, and begins where it likes', () => {
    let now = 0
    using cache = new Cache<string>({ engine, clock: { now: () => now }, ttl: 100 })
    cache.set('k', 'v', { expiresAt: Date.now() + 50 })
    now = 30
    expect(cache.get('k')).toBe('v')
    now = 200
    expect(cache.get('k')).toBeUndefined()
    cache.set('k', 'v')
    now = 0
    expect(cache.getRemainingTTL('k')).toBe(100)
    now = 299
    expect(cache.get('k')).toBe('v')
    now = 300
    expect(cache.get('k')).toBeUndefined()
  })

  it('that tells no time is an error with a code', () => {
    let told: unknown = 1
    using cache = new Cache<string>({ engine, clock: { now: () => told as number }, ttl: 100 })
    cache.set('k', 'v')
    for (const wrong of [Number.NaN, 'noon', undefined, 1n]) {
      told = wrong
      expect(thrown(() => cache.set('l', 'v'))).toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' })
    }
    told = 2
    expect(cache.get('k')).toBe('v')
  })

  it('is not for caches that threads share', () => {
    const name = uniqueName()
    const error = thrown(() => new Cache({ engine, name, clock: Date }))
    expect(error).toMatchObject({ code: 'ERR_OUT_OF_RANGE' })
    expect(error.message).toContain('threads')
    using cache = new Cache({ engine, name })
    expect(cache.size).toBe(0)
  })
})
