import { describe, expect, it } from 'vitest'
import { Cache, type CacheOptions } from '../../src/index.js'
import { engines, sleep } from '../support/engines.js'

describe.each(engines)('Cache on the %s engine', (engine) => {
  const open = <V = unknown>(options: CacheOptions = {}) => new Cache<V>({ engine, ...options })

  it('expires entries and does not renew them on reads', async () => {
    using cache = open<number>({ ttl: 60 })
    cache.set('default', 1)
    cache.set('long', 2, 60_000)
    cache.set('short', 3, { ttl: 20 })
    cache.set('for ever', 4, Infinity)
    cache.set('at', 5, { expiresAt: Date.now() + 60_000 })
    expect(cache.getRemainingTTL('default')).toBeGreaterThan(0)
    expect(cache.getRemainingTTL('default')).toBeLessThanOrEqual(60)
    expect(cache.getRemainingTTL('for ever')).toBe(Infinity)
    expect(cache.getRemainingTTL('none')).toBe(0)
    expect(cache.getRemainingTTL('at')).toBeGreaterThan(50_000)
    const end = performance.now() + 160
    while (performance.now() < end) {
      cache.get('default')
      await sleep(5)
    }
    expect([...cache.keys()].sort()).toEqual(['at', 'for ever', 'long'])
    expect(cache.get('default')).toBeUndefined()
    expect(cache.has('short')).toBe(false)
    expect(cache.stats().expirations).toBeGreaterThanOrEqual(1)
  })

  it('lives no shorter than asked for, and at most 100 ms longer', async () => {
    using cache = open<number>()
    cache.set('k', 1, 80)
    const start = performance.now()
    while (cache.has('k')) await sleep(1)
    const lived = performance.now() - start
    expect(lived).toBeGreaterThan(77)
    expect(lived).toBeLessThan(180)
  })

  it('removes only what expired when it purges', async () => {
    using cache = open<number>({ max: 10_000 })
    for (let number = 0; number < 2_000; number++) cache.set(`short ${number}`, number, 5)
    for (let number = 0; number < 1_000; number++) cache.set(`long ${number}`, number, 60_000)
    cache.set('always', 1)
    expect(cache.purgeSlice(0).removed).toBeLessThanOrEqual(2_000)
    await sleep(30)
    // Some may have been removed by the writes.
    expect(cache.purgeSlice(0).removed + cache.purgeStale()).toBeLessThanOrEqual(2_000)
    expect(cache.size).toBe(1_001)
    expect(cache.purgeSlice(1)).toEqual({ removed: 0, done: true })
    expect(cache.stats().expirations).toBe(2_000)
  })

  it('lets expired entries go before live ones', async () => {
    using cache = open<number>({ max: 10 })
    for (let number = 0; number < 5; number++) cache.set(`live ${number}`, number)
    for (let number = 0; number < 5; number++) cache.set(`dead ${number}`, number, 5)
    await sleep(20)
    for (let number = 0; number < 5; number++) cache.set(`new ${number}`, number)
    expect([...cache.keys()]).toHaveLength(10)
    expect(cache.stats()).toMatchObject({ evictions: 0, expirations: 5 })
  })

  it('stores nothing with a TTL of 0 or a time that has passed, and removes what was there', () => {
    using cache = open<number>()
    for (const options of [0, { ttl: 0 }, { expiresAt: Date.now() - 1 }, { expiresAt: -Infinity }]) {
      cache.set('k', 1)
      expect(cache.set('k', 2, options)).toBe(false)
      expect(cache.has('k')).toBe(false)
    }
    expect(cache.size).toBe(0)
  })

  it('takes any positive TTL', () => {
    using cache = open<number>()
    for (const ttl of [0.001, 1.5, 2 ** 31, 2 ** 32, Number.MAX_SAFE_INTEGER, Number.MAX_VALUE, Infinity]) {
      expect(cache.set('k', 1, ttl)).toBe(true)
      if (ttl > 1_000) expect(cache.get('k')).toBe(1)
    }
    expect(cache.set('k', 1, { expiresAt: Infinity })).toBe(true)
    expect(cache.getRemainingTTL('k')).toBe(Infinity)
  })
})
