import { describe, expect, it } from 'vitest'
import { Cache, type CacheOptions } from '../../src/index.js'
import { engines, thrown } from '../support/engines.js'

describe.each(engines)('Cache on the %s engine', (engine) => {
  const open = <V = unknown>(options: CacheOptions = {}) => new Cache<V>({ engine, ...options })

  it('throws at once for what is no key', () => {
    using cache = open<number>()
    for (const key of [5, null, undefined, {}, Symbol('s'), ['a']] as never[]) {
      for (const body of [
        () => cache.get(key),
        () => cache.peek(key),
        () => cache.has(key),
        () => cache.set(key, 1),
        () => cache.delete(key),
        () => cache.take(key),
        () => cache.getRemainingTTL(key),
      ]) {
        expect(thrown(body)).toMatchObject({ name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' })
      }
    }
    expect(cache.size).toBe(0)
  })

  it('throws at once for wrong options of set, changing nothing', () => {
    using cache = open<unknown>()
    cache.set('k', 1)
    const wrong: [unknown, string][] = [
      [Number.NaN, 'RangeError'],
      [-1, 'RangeError'],
      [{ ttl: -Infinity }, 'RangeError'],
      [{ ttl: '5' }, 'TypeError'],
      ['5', 'TypeError'],
      [null, 'TypeError'],
      [{ ttl: 5, expiresAt: 5 }, 'RangeError'],
      [{ expiresAt: Number.NaN }, 'RangeError'],
      [{ expiresAt: 'now' }, 'TypeError'],
      [{ tags: 'a' }, 'TypeError'],
      [{ tags: [''] }, 'RangeError'],
      [{ tags: Array(129).fill('t') }, 'RangeError'],
      [{ fence: '1' }, 'TypeError'],
      [{ fence: Infinity }, 'RangeError'],
      [{ fence: 1.5 }, 'RangeError'],
      [{ fence: -1 }, 'RangeError'],
    ]
    for (const [options, name] of wrong) {
      expect(thrown(() => cache.set('k', 2, options as never))).toMatchObject({ name })
    }
    expect(cache.get('k')).toBe(1)
    expect(() => cache.invalidateTag('')).toThrow(RangeError)
    expect(() => cache.invalidateTags('a' as never)).toThrow(TypeError)
  })

  it.each([
    [{ max: 0 }, 'max', 'RangeError'],
    [{ max: 1.5 }, 'max', 'RangeError'],
    [{ max: '5' }, 'max', 'TypeError'],
    [{ maxSize: -1 }, 'maxSize', 'RangeError'],
    [{ maxEntrySize: Number.NaN }, 'maxEntrySize', 'RangeError'],
    [{ ttl: 0 }, 'ttl', 'RangeError'],
    [{ ttl: Number.NaN }, 'ttl', 'RangeError'],
    [{ name: '' }, 'name', 'RangeError'],
    [{ name: 5 }, 'name', 'TypeError'],
    [{ serializer: 'xml' }, 'serializer', 'RangeError'],
    [{ engine: 'go' }, 'engine', 'RangeError'],
    [{ max: Infinity }, 'max', 'RangeError'],
    [{ max: Infinity, maxSize: Infinity }, 'max', 'RangeError'],
  ])('refuses the options %j, naming %s', (options, option, name) => {
    const error = thrown(() => open(options as never))
    expect(error).toMatchObject({ name })
    expect(error.message).toContain(option)
  })

  it('takes Infinity for no limit, and a limit that no memory could hold', () => {
    using cache = open<number>({ max: Infinity, maxSize: 10_000, maxEntrySize: Infinity, ttl: Infinity })
    expect(cache.settings).toMatchObject({
      max: Infinity,
      maxSize: 10_000,
      // An entry can have no more than the whole.
      maxEntrySize: 10_000,
      ttl: Infinity,
      policy: 'lru',
      updateAgeOnGet: false,
    })
    using large = open<number>({ max: Number.MAX_SAFE_INTEGER, maxSize: Number.MAX_SAFE_INTEGER })
    large.set('k', 1)
    expect(large.get('k')).toBe(1)
    using unbounded = open()
    expect(unbounded.settings.max).toBe(10_000)
  })

  it('refuses what are no options', async () => {
    for (const options of [null, 'decisions', 5]) {
      expect(thrown(() => new Cache(options as never))).toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' })
    }
    using cache = open<number>()
    for (const options of [null, 1_000, { signal: {} }]) {
      await expect(cache.getOrSet('k', () => 1, options as never)).rejects.toMatchObject({
        code: 'ERR_INVALID_ARG_TYPE',
      })
    }
    expect(thrown(() => cache.wrap(() => 1, undefined as never))).toMatchObject({
      code: 'ERR_INVALID_ARG_TYPE',
    })
    expect(cache.size).toBe(0)
  })
})
