import { describe, expect, it } from 'vitest'
import { Cache } from '../../src/index.js'
import { engines } from '../support/engines.js'

const COUNT = 50_000

/** Keys that a hash without a secret sends to few places. */
const families: [string, (number: number) => string][] = [
  [
    'the same under a polynomial of 31',
    (number) => Array.from({ length: 17 }, (_, bit) => ((number >> bit) & 1 ? 'Aa' : 'BB')).join(''),
  ],
  // V8 hashes what looks like an array index by its value and its length alone.
  ['array indices a power of two apart', (number) => `${1_000_000_000 + number * 1_024}`],
  ['zeros of growing length', (number) => `${'\0'.repeat(number % 300)}${Math.floor(number / 300)}`],
  ['one long beginning', (number) => `${'x'.repeat(200)}${number}`],
  ['two bytes a unit', (number) => `漢${String.fromCharCode(number & 0x3ff, number >> 10)}`],
]

// A table with all of them in one place would take thousands of millions of steps for each method.
describe.each(engines)('chosen keys on the %s engine', (engine) => {
  it.each(families)(
    '%s go through every method',
    async (_, name) => {
      const keys = Array.from({ length: COUNT }, (_, number) => name(number))
      expect(new Set(keys).size).toBe(COUNT)
      using cache = new Cache<number>({ engine, max: COUNT, ttl: 600_000 })
      expect(cache.setMany(keys.map((key, value) => ({ key, value }))).every(Boolean)).toBe(true)
      for (const [value, key] of keys.entries()) cache.set(key, value, { tags: [key] })
      const isRead = (key: string, value: number) =>
        cache.get(key) === value && cache.get(key) === value && cache.peek(key) === value
      expect(keys.every(isRead)).toBe(true)
      expect(keys.every((key) => cache.has(key) && cache.getRemainingTTL(key) > 0)).toBe(true)
      expect(cache.getMany(keys).every((value, at) => value === at)).toBe(true)
      expect(cache.hasMany(keys).every(Boolean)).toBe(true)
      expect([...cache.keys()]).toHaveLength(COUNT)
      expect([...cache.entries()]).toHaveLength(COUNT)
      const fence = cache.fence()
      for (const key of keys.slice(0, 10_000)) {
        await cache.getOrSet(key, () => 1)
        cache.invalidateTag(key)
        cache.set(key, 0, { fence })
      }
      for (const key of keys.slice(0, 25_000)) cache.take(key)
      for (const key of keys.slice(0, 2_000)) await cache.getOrSet(key, () => 1)
      expect(cache.deleteMany(keys.slice(25_000)).filter(Boolean).length).toBeGreaterThan(0)
      for (const key of keys) cache.delete(key)
      cache.purgeStale()
      expect(cache.size).toBe(0)
      cache.clear()
    },
    60_000,
  )
})
