import { describe, expect, it } from 'vitest'
import { Cache, type CacheOptions } from '../../src/index.js'
import { engines, thrown, uniqueName } from '../support/engines.js'

describe.each(engines)('Cache on the %s engine', (engine) => {
  const open = <V = unknown>(options: CacheOptions = {}) => new Cache<V>({ engine, ...options })

  it('shares a cache by name, and names the option that differs', () => {
    const name = uniqueName()
    const first = open<number>({ name, max: 50, ttl: 1_000 })
    const second = open<number>({ name })
    first.set('k', 1)
    expect(second.get('k')).toBe(1)
    expect(second.settings).toEqual(first.settings)
    open({ name, max: 50, ttl: 1_000 }).close()
    for (const [options, option] of [
      [{ max: 51 }, 'max'],
      [{ maxSize: 1_000 }, 'maxSize'],
      [{ maxEntrySize: 1_000 }, 'maxEntrySize'],
      [{ ttl: 5 }, 'ttl'],
      [{ serializer: 'v8' }, 'serializer'],
    ] as const) {
      const error = thrown(() => open({ name, ...options }))
      expect(error).toMatchObject({ code: 'ERR_CACHE_OPTIONS_CONFLICT' })
      expect(error.message).toContain(`${option}:`)
      expect(error.message).toContain(JSON.stringify(name))
    }
    first.close()
    expect(second.get('k')).toBe(1)
    second.close()
    using third = open<number>({ name, max: 7 })
    expect(third.get('k')).toBeUndefined()
    expect(third.settings.max).toBe(7)
  })

  it('follows whoever opened the name in what it leaves out, and contradicts with Infinity', () => {
    const name = uniqueName()
    using first = open<Map<string, number>>({ name, max: 5, ttl: 1_000, serializer: 'v8' })
    first.set('k', new Map([['a', 1]]))
    using second = open<Map<string, number>>({ name })
    expect(second.get('k')).toEqual(new Map([['a', 1]]))
    for (const options of [
      { ttl: Infinity },
      { max: Infinity, maxSize: 1_000_000 },
      { serializer: 'json' as const },
    ]) {
      expect(thrown(() => open({ name, ...options }))).toMatchObject({ code: 'ERR_CACHE_OPTIONS_CONFLICT' })
    }
    expect(first.get('k')?.get('a')).toBe(1)
  })

  it('keeps private caches and caches of different names apart', () => {
    using a = open<number>({ name: uniqueName() })
    using b = open<number>({ name: uniqueName() })
    using c = open<number>()
    using d = open<number>()
    for (const [at, cache] of [a, b, c, d].entries()) cache.set('k', at)
    expect([a, b, c, d].map((cache) => cache.get('k'))).toEqual([0, 1, 2, 3])
  })

  it('throws from every method once it is closed', async () => {
    const cache = open<number>()
    cache.set('k', 1)
    cache.close()
    cache.close()
    for (const body of [
      () => cache.get('k'),
      () => cache.peek('k'),
      () => cache.take('k'),
      () => cache.has('k'),
      () => cache.set('k', 1),
      () => cache.delete('k'),
      () => cache.clear(),
      () => cache.getMany(['k']),
      () => cache.hasMany(['k']),
      () => cache.deleteMany(['k']),
      () => cache.setMany([{ key: 'k', value: 1 }]),
      () => [...cache.keys()],
      () => [...cache.entries()],
      () => cache.size,
      () => cache.bytes,
      () => cache.getRemainingTTL('k'),
      () => cache.purgeStale(),
      () => cache.fence(),
      () => cache.invalidateTag('t'),
      () => cache.stats(),
      () => cache.resetStats(),
    ]) {
      expect(thrown(body)).toMatchObject({ name: 'CacheError', code: 'ERR_CACHE_CLOSED' })
    }
    await expect(cache.getOrSet('k', () => 1)).rejects.toMatchObject({ code: 'ERR_CACHE_CLOSED' })
    using next = open<number>()
    next.set('k', 2)
    expect(() => cache.get('k')).toThrow('closed')
  })
})
