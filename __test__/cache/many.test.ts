import { describe, expect, it } from 'vitest'
import { Cache, type CacheOptions } from '../../src/index.js'
import { engines, thrown } from '../support/engines.js'

describe.each(engines)('Cache on the %s engine', (engine) => {
  const open = <V = unknown>(options: CacheOptions = {}) => new Cache<V>({ engine, ...options })

  it('works on many keys at once', () => {
    using cache = open<number>()
    const stored = cache.setMany([
      { key: 'a', value: 1 },
      { key: 'b', value: 2, ttl: 60_000 },
      { key: 'c', value: 3, ttl: 0 },
    ])
    expect(stored).toEqual([true, true, false])
    expect(cache.getMany(['a', 'x', 'b', 'c'])).toEqual([1, undefined, 2, undefined])
    expect(cache.hasMany(['a', 'x'])).toEqual([true, false])
    expect(cache.getRemainingTTL('b')).toBeLessThanOrEqual(60_000)
    expect(cache.deleteMany(['a', 'a', 'x'])).toEqual([true, false, false])
    expect(cache.setMany([{ key: 't', value: 1, tags: ['x'] }])).toEqual([true])
    cache.invalidateTag('x')
    expect(cache.getMany(['t'])).toEqual([undefined])
    expect(cache.getMany([])).toEqual([])
    const many = Array.from({ length: 3_000 }, (_, value) => ({ key: `key ${value}`, value }))
    expect(cache.setMany(many)).toEqual(many.map(() => true))
    expect(cache.getMany(many.map(({ key }) => key))).toEqual(many.map(({ value }) => value))
  })

  it('stores none of many if one of them is wrong', () => {
    using cache = open<unknown>()
    const good = { key: 'good', value: 1 }
    for (const bad of [
      { key: 5, value: 1 },
      { key: 'k', value: undefined },
      { key: 'k', value: 1n },
      { key: 'k', value: 1, ttl: -1 },
      { key: 'k', value: 1, tags: [5] },
      null,
    ]) {
      expect(() => cache.setMany([good, bad as never])).toThrow()
    }
    expect(cache.size).toBe(0)
    expect(() => cache.getMany(['a', 5 as never])).toThrow(TypeError)
    expect(() => cache.setMany('x' as never)).toThrow(TypeError)
    expect(() => cache.deleteMany('x' as never)).toThrow(TypeError)
  })

  it('takes arrays that run code of their own, once', () => {
    using cache = open<number>()
    cache.set('a', 1)
    let reads = 0
    const sly = ['a', 'a']
    Object.defineProperty(sly, 1, {
      get: () => {
        reads++
        cache.set('b', cache.get('a') ?? 0)
        return reads > 1 ? 5 : 'b'
      },
    })
    expect(cache.getMany(sly)).toEqual([1, 1])
    // A call of many keys inside a call of many keys.
    let depth = 0
    const nested = ['a']
    Object.defineProperty(nested, 0, { get: () => (depth++ < 3 ? cache.getMany(nested) && 'a' : 'a') })
    expect(cache.getMany(nested)).toEqual([1])
    const closing = open<number>()
    const closer = new Proxy(['a'], {
      get: (target, name) => {
        if (name === '0') closing.close()
        return Reflect.get(target, name)
      },
    })
    expect(thrown(() => closing.getMany(closer))).toMatchObject({ code: 'ERR_CACHE_CLOSED' })
    const tags = new Proxy(['t'], {
      get: (target, name) => {
        if (name === '0') cache.delete('k')
        return Reflect.get(target, name)
      },
    })
    expect(cache.set('k', 1, { tags })).toBe(true)
    cache.invalidateTags(tags)
    expect(cache.has('k')).toBe(false)
  })

  it('walks over everything while it changes', () => {
    using cache = open<number>({ max: 5_000 })
    for (let number = 0; number < 1_000; number++) cache.set(`lasting ${number}`, number)
    const seen = new Map<string, number>()
    let step = 0
    for (const [key, value] of cache) {
      seen.set(key, (seen.get(key) ?? 0) + 1)
      if (key.startsWith('lasting')) expect(cache.peek(key)).toBeTypeOf('number')
      cache.set(`lasting ${step % 1_000}`, value)
      if (step < 500) cache.set(`passing ${step}`, step)
      step++
    }
    for (let number = 0; number < 1_000; number++) expect(seen.get(`lasting ${number}`)).toBe(1)
  })

  it('shows a walk nothing that has gone', () => {
    using cache = open<number>()
    for (let number = 0; number < 10; number++) cache.set(`${number}`, number)
    let seen = 0
    for (const [key] of cache) {
      seen++
      expect(cache.has(key)).toBe(true)
      cache.clear()
    }
    for (const key of cache.keys()) expect(cache.has(key)).toBe(true)
    expect(seen).toBe(1)
  })
})
