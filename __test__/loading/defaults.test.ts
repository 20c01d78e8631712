import { describe, expect, it, vi } from 'vitest'
import { Cache, type CacheOptions, type LoadContext, type LoadStatus, PolicyCache } from '../../src/index.js'
import { engines, sleep, thrown } from '../support/engines.js'

describe.each(engines)('loading on the %s engine', (engine) => {
  const open = (options: CacheOptions = {}) => new Cache<string>({ engine, ...options })
  const down = () => Promise.reject(new Error('down'))

  it('takes its defaults from the cache, and what a call says instead', async () => {
    using cache = open({ loading: { staleIfError: 10_000, hardTimeout: 20 }, ttl: 5 })
    await cache.getOrSet('k', () => 'old')
    await sleep(10)
    expect(await cache.getOrSet('k', down)).toBe('old')
    await expect(cache.getOrSet('k', down, { staleIfError: 0 })).rejects.toThrow('down')
    await expect(cache.getOrSet('l', () => new Promise<string>(() => {}))).rejects.toThrow(
      'the load of "l" did not settle within its hardTimeout of 20 ms',
    )
    const wrapped = cache.wrap(down, { key: () => 'k' })
    expect(await wrapped()).toBe('old')
    expect(thrown(() => open({ loading: { staleIfErrors: 5 } as never }))).toMatchObject({
      code: 'ERR_CACHE_UNKNOWN_OPTION',
      message: expect.stringContaining('staleIfError?'),
    })
    expect(thrown(() => open({ loading: { ttlJitter: 2 } }))).toMatchObject({ code: 'ERR_OUT_OF_RANGE' })
  })

  it('refreshes by its defaults, too', async () => {
    using cache = open({ ttl: 10_000, loading: { refreshAhead: 1 } })
    let loads = 0
    const load = () => `v${++loads}`
    expect(await cache.getOrSet('k', load)).toBe('v1')
    expect(await cache.getOrSet('k', load)).toBe('v1')
    await sleep(1)
    expect(cache.get('k')).toBe('v2')
    expect(await cache.getOrSet('k', load, { refreshAhead: 0 })).toBe('v2')
    await sleep(1)
    expect(loads).toBe(2)
  })

  it('can be forced', async () => {
    using cache = open()
    cache.set('k', 'old')
    const status: LoadStatus = {}
    expect(await cache.getOrSet('k', () => 'new', { forceRefresh: true, status })).toBe('new')
    expect(status.source).toBe('load')
    expect(cache.get('k')).toBe('new')
    expect(await cache.getOrSet('k', () => 'newer', { forceRefresh: false })).toBe('new')
  })

  it('does not ask a source that is down at every call', async () => {
    using cache = open({ loading: { retryAfter: 40 } })
    const load = vi.fn(down)
    for (let call = 0; call < 20; call++) {
      await expect(cache.getOrSet('k', load)).rejects.toThrow('down')
    }
    expect(load).toHaveBeenCalledTimes(1)
    expect(cache.stats()).toMatchObject({ loads: 1, loadErrors: 1, backedOff: 19 })
    // Another key, another call that says so, and the time that has passed.
    await expect(cache.getOrSet('l', load)).rejects.toThrow('down')
    await expect(cache.getOrSet('k', load, { retryAfter: 0 })).rejects.toThrow('down')
    await expect(cache.getOrSet('k', load, { forceRefresh: true })).rejects.toThrow('down')
    expect(load).toHaveBeenCalledTimes(4)
    await sleep(50)
    expect(await cache.getOrSet('k', () => 'up')).toBe('up')
    cache.delete('k')
    expect(await cache.getOrSet('k', () => 'up again')).toBe('up again')
  })

  it('backs off while it serves what is stale', async () => {
    using cache = open({ ttl: 5, loading: { retryAfter: 10_000, staleIfError: 10_000 } })
    await cache.getOrSet('k', () => 'old')
    await sleep(10)
    const load = vi.fn(down)
    for (let call = 0; call < 5; call++) expect(await cache.getOrSet('k', load)).toBe('old')
    expect(load).toHaveBeenCalledTimes(1)
    using behind = open({ ttl: 5, loading: { retryAfter: 10_000, staleWhileRevalidate: 10_000 } })
    await behind.getOrSet('k', () => 'old')
    await sleep(10)
    for (let call = 0; call < 5; call++) {
      expect(await behind.getOrSet('k', load)).toBe('old')
      await sleep(1)
    }
    expect(load).toHaveBeenCalledTimes(2)
  })

  it('does not take a caller that went away, or a slow load of its own, for a source that is down', async () => {
    using cache = open({ loading: { retryAfter: 10_000 } })
    const gone = new AbortController()
    const left = cache.getOrSet('k', () => new Promise<string>(() => {}), { signal: gone.signal })
    gone.abort(new Error('gone'))
    await expect(left).rejects.toThrow('gone')
    expect(await cache.getOrSet('k', () => 'v')).toBe('v')
    const slow = cache.getOrSet('s', () => new Promise<string>(() => {}), { hardTimeout: 5 })
    await expect(slow).rejects.toMatchObject({ code: 'ERR_CACHE_LOAD_TIMEOUT' })
    await expect(cache.getOrSet('s', () => 'v')).rejects.toMatchObject({ code: 'ERR_CACHE_LOAD_TIMEOUT' })
  })

  it('means the same by its words in a PolicyCache', async () => {
    const evaluate = vi.fn(() => Promise.reject(new Error('down')))
    using decisions = new PolicyCache({
      engine,
      evaluate,
      retryAfter: 10_000,
      timeout: 5,
      hardTimeout: 1_000,
    })
    const asked = { user: 'u', action: 'a', resource: 'r' }
    for (let call = 0; call < 5; call++) await expect(decisions.decide(asked)).rejects.toThrow('down')
    expect(evaluate).toHaveBeenCalledTimes(1)
    const slow = decisions.decide({ ...asked, user: 'v' }, { evaluate: () => new Promise(() => {}) })
    await expect(slow).rejects.toThrow('timeout of 5 ms')
  })

  it('wraps a function with tags of its results, a context, its keys and their removal', async () => {
    using cache = new Cache<{ team: string; id: number }>({ engine })
    const seen: LoadContext<unknown>[] = []
    const load = vi.fn(
      async (id: number, team: string, context: LoadContext<{ team: string; id: number }>) => {
        seen.push(context)
        return { id, team }
      },
    )
    const cached = cache.wrap(load, {
      key: (id) => `user:${id}`,
      tags: (result, id) => [`team:${result.team}`, `id:${id}`],
      context: true,
    })
    expect(await cached(1, 'a')).toEqual({ id: 1, team: 'a' })
    expect(seen[0]?.signal).toBeInstanceOf(AbortSignal)
    expect(cached.key(1, 'a')).toBe('user:1')
    cache.invalidateTag('team:a')
    expect(cache.has('user:1')).toBe(false)
    await cached(1, 'a')
    cache.invalidateTag('id:1')
    expect(cache.has('user:1')).toBe(false)
    await cached(1, 'a')
    expect(cached.delete(1, 'a')).toBe(true)
    expect(cached.delete(1, 'a')).toBe(false)
    expect(load).toHaveBeenCalledTimes(3)
    const wrong = cache.wrap(load, { key: (id) => `${id}`, tags: (() => [5]) as never, context: true })
    await expect(wrong(1, 'a')).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' })
    const keyless = cache.wrap(load, { key: () => 5 as never, context: true })
    await expect(keyless(1, 'a')).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' })
  })
})
