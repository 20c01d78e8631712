import { describe, expect, it, vi } from 'vitest'
import { Cache, type CacheOptions, type LoadContext, type LoadStatus } from '../../src/index.js'
import { engines, sleep } from '../support/engines.js'

const failing = () => {
  throw new Error('the source is down')
}

describe.each(engines)('values past their TTL on the %s engine', (engine) => {
  const open = (options: CacheOptions = {}) => new Cache<string>({ engine, ...options })

  it('are served only where it was asked for', async () => {
    using cache = open()
    await cache.getOrSet('k', () => 'old', { ttl: 5 })
    await sleep(10)
    await expect(cache.getOrSet('k', failing)).rejects.toThrow('down')
    // The grace belongs to the value: the one stored had none.
    await expect(cache.getOrSet('k', failing, { staleIfError: 10_000 })).rejects.toThrow('down')
    expect(cache.stats().stale).toBe(0)
  })

  it('are served at once while they are loaded again', async () => {
    using cache = open()
    const options = { ttl: 60_000, staleWhileRevalidate: 10_000 }
    await cache.getOrSet('k', () => 'old', { ...options, ttl: 10 })
    await sleep(15)
    expect([cache.get('k'), cache.has('k'), cache.getRemainingTTL('k'), [...cache.keys()]]).toEqual([
      undefined,
      false,
      0,
      [],
    ])
    let release = (_: string) => {}
    const load = vi.fn(({ stale }: LoadContext<string>) => {
      expect(stale).toBe('old')
      return new Promise<string>((resolve) => {
        release = resolve
      })
    })
    const status: LoadStatus = {}
    expect(await cache.getOrSet('k', load, { ...options, status })).toBe('old')
    expect(await cache.getOrSet('k', load, options)).toBe('old')
    expect(status).toEqual({ source: 'stale', error: undefined })
    expect(load).toHaveBeenCalledTimes(1)
    release('new')
    await sleep(1)
    expect(await cache.getOrSet('k', load, { ...options, status })).toBe('new')
    expect(status.source).toBe('hit')
    expect(cache.stats()).toMatchObject({ stale: 2, refreshes: 1, loads: 2 })
  })

  it('are served no longer than the call allows, and no longer than they are kept', async () => {
    using cache = open()
    await cache.getOrSet('k', () => 'old', { ttl: 5, staleIfError: 10_000 })
    await sleep(40)
    await expect(cache.getOrSet('k', failing, { staleIfError: 10 })).rejects.toThrow('down')
    expect(await cache.getOrSet('k', failing, { staleIfError: 10_000 })).toBe('old')
    await cache.getOrSet('l', () => 'old', { ttl: 5, staleIfError: 20 })
    await sleep(40)
    await expect(cache.getOrSet('l', failing, { staleIfError: 10_000 })).rejects.toThrow('down')
  })

  it('are served when their load fails, with the reason', async () => {
    using cache = open()
    const options = { ttl: 5, staleIfError: 10_000 }
    await cache.getOrSet('k', () => 'old', options)
    await sleep(10)
    const status: LoadStatus = {}
    expect(await cache.getOrSet('k', failing, { ...options, status })).toBe('old')
    expect(status).toMatchObject({ source: 'stale', error: { message: 'the source is down' } })
    expect(await cache.getOrSet('k', () => 'new', { ...options, status })).toBe('new')
    expect(status.source).toBe('load')
    expect(cache.stats()).toMatchObject({ stale: 1, loadErrors: 1 })
  })

  it('are served when their load is slow, and the load goes on', async () => {
    using cache = open()
    const options = { ttl: 5, staleIfError: 10_000, timeout: 10 }
    await cache.getOrSet('k', () => 'old', options)
    await sleep(10)
    const slow = async () => {
      await sleep(40)
      return 'new'
    }
    expect(await cache.getOrSet('k', slow, { ...options, ttl: 10_000 })).toBe('old')
    await expect(cache.getOrSet('other', slow, { timeout: 10 })).rejects.toMatchObject({
      code: 'ERR_CACHE_LOAD_TIMEOUT',
    })
    await sleep(60)
    expect(cache.getMany(['k', 'other'])).toEqual(['new', 'new'])
  })

  it.each([
    ['invalidateTag', (cache: Cache<string>) => cache.invalidateTag('t')],
    ['delete', (cache: Cache<string>) => cache.delete('k')],
    ['clear', (cache: Cache<string>) => cache.clear()],
  ])('are never served after %s', async (_, change) => {
    using cache = open()
    const options = { ttl: 5, staleIfError: 10_000, staleWhileRevalidate: 10_000, tags: ['t'] }
    await cache.getOrSet('k', () => 'old', options)
    await sleep(10)
    expect(
      await cache.getOrSet('k', () => new Promise<string>(() => {}), { ...options, hardTimeout: 1 }),
    ).toBe('old')
    await sleep(5)
    change(cache)
    await expect(cache.getOrSet('k', failing, options)).rejects.toThrow('down')
    await expect(
      cache.getOrSet('k', () => new Promise<string>(() => {}), { ...options, timeout: 5 }),
    ).rejects.toMatchObject({ code: 'ERR_CACHE_LOAD_TIMEOUT' })
    // Not either when the change comes while the load fails.
    await sleep(1)
    using other = open()
    await other.getOrSet('k', () => 'old', { ...options, staleWhileRevalidate: 0 })
    await sleep(10)
    const failsLater = async () => {
      change(other)
      throw new Error('later')
    }
    await expect(other.getOrSet('k', failsLater, { ...options, staleWhileRevalidate: 0 })).rejects.toThrow(
      'later',
    )
  })

  it('are not served to a caller that has gone', async () => {
    using cache = open()
    const options = { ttl: 5, staleIfError: 10_000 }
    await cache.getOrSet('k', () => 'old', options)
    await sleep(10)
    const controller = new AbortController()
    const gone = cache.getOrSet('k', () => new Promise<string>(() => {}), {
      ...options,
      signal: controller.signal,
    })
    controller.abort(new Error('gone'))
    await expect(gone).rejects.toThrow('gone')
  })
})

describe.each(engines)('loads on the %s engine', (engine) => {
  it('begin ahead of the end of the TTL, once, with their own arguments and TTL', async () => {
    using cache = new Cache<string>({ engine })
    const load = vi.fn(async (id: number, suffix: string) => {
      await sleep(5)
      return `${id}${suffix}${load.mock.calls.length}`
    })
    const cached = cache.wrap(load, { key: (id) => `k${id}`, ttl: 200, refreshAhead: 0.5 })
    expect(await cached(1, 'a')).toBe('1a1')
    expect(await cached(1, 'a')).toBe('1a1')
    expect(load).toHaveBeenCalledTimes(1)
    await sleep(120)
    expect(await Promise.all([cached(1, 'a'), cached(1, 'a')])).toEqual(['1a1', '1a1'])
    await sleep(30)
    expect(load).toHaveBeenCalledTimes(2)
    expect(load).toHaveBeenLastCalledWith(1, 'a')
    expect(await cached(1, 'a')).toBe('1a2')
    expect(cache.getRemainingTTL('k1')).toBeGreaterThan(100)
    expect(cache.stats()).toMatchObject({ refreshes: 1, loads: 2 })
  })

  it('begin ahead of the end of the TTL that the load chose', async () => {
    using cache = new Cache<string>({ engine, ttl: 1_000_000 })
    const load = vi.fn((context: LoadContext<string>) => {
      context.ttl = 100_000
      return 'v'
    })
    for (let call = 0; call < 5; call++) await cache.getOrSet('k', load, { refreshAhead: 0.5 })
    expect(load).toHaveBeenCalledTimes(1)
    const short = vi.fn((context: LoadContext<string>) => {
      context.ttl = 60
      return 'v'
    })
    await cache.getOrSet('l', short, { refreshAhead: 0.9 })
    await sleep(30)
    await cache.getOrSet('l', short, { refreshAhead: 0.9 })
    expect(short).toHaveBeenCalledTimes(2)
  })

  it('that fail ahead of time leave the value as it is', async () => {
    using cache = new Cache<string>({ engine, ttl: 10_000 })
    await cache.getOrSet('k', () => 'old')
    expect(await cache.getOrSet('k', failing, { refreshAhead: 1 })).toBe('old')
    await sleep(1)
    expect(cache.get('k')).toBe('old')
    expect(cache.stats()).toMatchObject({ refreshes: 1, loadErrors: 1 })
  })

  it('shorten the TTL at random, and never lengthen it', async () => {
    using cache = new Cache<string>({ engine })
    const left = new Set<number>()
    for (let number = 0; number < 40; number++) {
      await cache.getOrSet(`k${number}`, () => 'v', { ttl: 100_000, ttlJitter: 0.5 })
      left.add(cache.getRemainingTTL(`k${number}`))
    }
    expect(Math.max(...left)).toBeLessThanOrEqual(100_000)
    expect(Math.min(...left)).toBeGreaterThanOrEqual(49_000)
    expect(left.size).toBeGreaterThan(20)
  })

  it('may choose tags, or not to be stored', async () => {
    using cache = new Cache<string>({ engine })
    const tagged = (context: LoadContext<string>) => {
      expect(context.tags).toEqual(['a'])
      context.tags = ['a', 'b']
      return 'v'
    }
    await cache.getOrSet('k', tagged, { tags: ['a'] })
    cache.invalidateTag('b')
    expect(cache.has('k')).toBe(false)
    const passing = (context: LoadContext<string>) => {
      context.store = false
      return 'seen'
    }
    expect(await cache.getOrSet('k', passing)).toBe('seen')
    expect(cache.size).toBe(0)
    const wrong = (context: LoadContext<string>) => {
      context.tags = [5] as never
      return 'v'
    }
    await expect(cache.getOrSet('w', wrong)).rejects.toThrow(TypeError)
    const late = async (context: LoadContext<string>) => {
      context.tags = ['c']
      cache.invalidateTag('c')
      return 'late'
    }
    await expect(cache.getOrSet('l', late, { hardTimeout: 20 })).rejects.toMatchObject({
      code: 'ERR_CACHE_OVERTAKEN',
    })
    expect(cache.has('l')).toBe(false)
  })

  it('say where their result came from', async () => {
    using cache = new Cache<string>({ engine })
    const seen: LoadStatus[] = [{}, {}, {}]
    const slow = async () => {
      await sleep(2)
      return 'v'
    }
    await Promise.all(seen.slice(0, 2).map((status) => cache.getOrSet('k', slow, { status })))
    await cache.getOrSet('k', slow, { status: seen[2] as LoadStatus })
    expect(seen.map(({ source }) => source)).toEqual(['load', 'shared', 'hit'])
  })

  it.each([
    [{ ttlJitter: 2 }],
    [{ ttlJitter: '1' }],
    [{ refreshAhead: -1 }],
    [{ refreshAhead: Number.NaN }],
    [{ staleIfError: -1 }],
    [{ staleWhileRevalidate: '5' }],
    [{ timeout: -1 }],
  ])('refuse %j', async (options) => {
    using cache = new Cache<string>({ engine })
    await expect(cache.getOrSet('k', () => 'v', options as never)).rejects.toMatchObject({
      code: expect.stringMatching(/^ERR_(OUT_OF_RANGE|INVALID_ARG_TYPE)$/),
    })
    expect(cache.size).toBe(0)
  })

  it('are one for all caches of a name in a thread', async () => {
    const name = `flights ${engine} ${performance.now()}`
    using one = new Cache<string>({ engine, name })
    using two = new Cache<string>({ engine, name })
    const load = vi.fn(async () => {
      await sleep(10)
      return 'v'
    })
    expect(await Promise.all([one.getOrSet('k', load), two.getOrSet('k', load)])).toEqual(['v', 'v'])
    expect(load).toHaveBeenCalledTimes(1)
    // An error is not shared between them: each loads by itself.
    const results = await Promise.allSettled([one.getOrSet('e', failing), two.getOrSet('e', failing)])
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
  })

  it('end with the cache', async () => {
    const name = `closing ${engine} ${performance.now()}`
    const one = new Cache<string>({ engine, name })
    using two = new Cache<string>({ engine, name })
    const lost = one.getOrSet('k', () => sleep(5).then(() => 'v'))
    const waiting = two.getOrSet('k', () => 'mine')
    one.close()
    await expect(lost).rejects.toMatchObject({ code: 'ERR_CACHE_CLOSED' })
    expect(await waiting).toBe('mine')
  })
})
