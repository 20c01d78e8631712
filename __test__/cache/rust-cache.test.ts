import { describe, expect, it } from 'vitest'
import { Cache, CleanupTask, RustCache } from '../../src/index.js'
import { sleep, thrown, withoutRust } from '../support/engines.js'

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
