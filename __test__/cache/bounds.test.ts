import { describe, expect, it } from 'vitest'
import { Cache, type CacheOptions } from '../../src/index.js'
import { engines } from '../support/engines.js'

describe.each(engines)('Cache on the %s engine', (engine) => {
  const open = <V = unknown>(options: CacheOptions = {}) => new Cache<V>({ engine, ...options })

  it('evicts the least recently used', () => {
    using cache = open<number>({ max: 3 })
    cache.set('a', 1)
    cache.set('b', 2)
    cache.set('c', 3)
    cache.get('a')
    cache.peek('b')
    cache.has('b')
    cache.set('d', 4)
    expect([...cache.keys()].sort()).toEqual(['a', 'c', 'd'])
    expect(cache.stats().evictionsByMax).toBe(1)
    cache.set('a', 5)
    expect(cache.size).toBe(3)
    expect(cache.stats().evictions).toBe(1)
  })

  it('holds one entry with a capacity of one', () => {
    using cache = open<number>({ max: 1 })
    for (let number = 0; number < 5; number++) {
      cache.set(`k${number}`, number)
      expect([...cache.entries()]).toEqual([[`k${number}`, number]])
    }
  })

  it('bounds the bytes it holds and counts them as documented', () => {
    using cache = open<string>({ maxSize: 1_000 })
    cache.set('key', 'value')
    expect(cache.bytes).toBe(3 + 7 + 96)
    cache.set('key', 'välue')
    expect(cache.bytes).toBe(3 + 7 + 96)
    cache.set('key', 'v漢lue')
    expect(cache.bytes).toBe(3 + 14 + 96)
    cache.set('漢', '')
    expect(cache.bytes).toBe(3 + 14 + 96 + 2 + 2 + 96)
    cache.clear()
    expect(cache.bytes).toBe(0)
    for (let number = 0; number < 100; number++) {
      cache.set(`key ${number}`, 'v'.repeat(number))
      expect(cache.bytes).toBeLessThanOrEqual(1_000)
    }
    expect(cache.has('key 99')).toBe(true)
    expect(cache.stats().evictionsByMaxSize).toBeGreaterThan(80)
  })

  it('refuses what is larger than one entry may be, and removes what it would have replaced', () => {
    using cache = open<string>({ max: 10, maxEntrySize: 200 })
    expect(cache.set('k', 'small')).toBe(true)
    expect(cache.set('other', 'small')).toBe(true)
    expect(cache.set('k', 'x'.repeat(200))).toBe(false)
    expect(cache.get('k')).toBeUndefined()
    expect(cache.get('other')).toBe('small')
    expect(cache.stats().rejections).toBe(1)
    using bounded = open<string>({ maxSize: 300 })
    expect(bounded.set('k', 'x'.repeat(300))).toBe(false)
  })

  it('counts what happened', () => {
    using cache = open<number>({ max: 2 })
    cache.set('a', 1)
    cache.get('a')
    cache.get('x')
    cache.get('y')
    expect(cache.stats()).toMatchObject({ hits: 1, misses: 2, sets: 1, hitRate: 1 / 3, size: 1 })
    cache.resetStats()
    expect(cache.stats()).toMatchObject({ hits: 0, misses: 0, sets: 0, hitRate: 0, size: 1, evictions: 0 })
  })
})
