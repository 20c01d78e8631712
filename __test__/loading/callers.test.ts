import { getEventListeners } from 'node:events'
import { describe, expect, it, vi } from 'vitest'
import { Cache, type CacheOptions, type LoadContext, PolicyCache } from '../../src/index.js'
import { engines, sleep } from '../support/engines.js'

const asked = { user: 'u', action: 'a', resource: 'r' }

describe.each(engines)('callers on the %s engine', (engine) => {
  const open = <V = unknown>(options: CacheOptions = {}) => new Cache<V>({ engine, ...options })

  it('all get their answer, whatever objects one of them has for a status', async () => {
    using cache = open<number>({ ttl: 100, loading: { staleIfError: 10_000, staleWhileRevalidate: 0 } })
    const hostile = Object.defineProperty({}, 'source', {
      set() {
        throw new Error('mine')
      },
    })
    const load = () => sleep(2).then(() => 1)
    expect(
      await Promise.all([cache.getOrSet('k', load, { status: hostile }), cache.getOrSet('k', load)]),
    ).toEqual([1, 1])
    expect(await cache.getOrSet('k', load, { status: hostile })).toBe(1)
    await sleep(110)
    const down = () => sleep(2).then(() => Promise.reject(new Error('down')))
    expect(
      await Promise.all([cache.getOrSet('k', down, { status: hostile }), cache.getOrSet('k', down)]),
    ).toEqual([1, 1])
    await expect(cache.getOrSet('k', load, { status: Object.freeze({}) })).rejects.toMatchObject({
      code: 'ERR_OUT_OF_RANGE',
    })
  })

  it('of a wrapped function find their arguments as they gave them', async () => {
    using cache = open<string | number>()
    const secrets = cache.wrap(async (_: number, all = false) => (all ? 'secrets' : 'public'), {
      key: (id, all = false) => `${id}:${all}`,
    })
    expect(await secrets(1)).toBe('public')
    const counted = cache.wrap(async (...ids: number[]) => ids.length, { key: (...ids) => `n:${ids}` })
    expect(await counted(1, 2)).toBe(2)
  })

  it('who all load anew at once are served by what began with them', async () => {
    using cache = open<number>()
    let loads = 0
    const load = async () => {
      loads++
      await sleep(1 + (loads % 7))
      return loads
    }
    const results = await Promise.all(
      Array.from({ length: 50 }, () => cache.getOrSet('k', load, { forceRefresh: true, hardTimeout: 5_000 })),
    )
    expect(results.every((result) => result > 0)).toBe(true)
    expect(loads).toBe(50)
    // One that began before is no answer to who comes later.
    let truth = 1
    const slow = cache.getOrSet(
      'k',
      async () => {
        const seen = truth
        await sleep(10)
        return seen
      },
      { forceRefresh: true },
    )
    truth = 2
    expect(await cache.getOrSet('k', async () => truth, { forceRefresh: true })).toBe(2)
    expect(await slow).toBe(2)
    expect(cache.get('k')).toBe(2)
  })

  it('do not get what was made of a value that was invalidated meanwhile', async () => {
    using cache = open<string>({ loading: { staleIfError: 10_000 } })
    const first = (context: LoadContext<string>) => {
      context.tags = ['t']
      return 'old'
    }
    await cache.getOrSet('k', first, { ttl: 5 })
    await sleep(10)
    const conditional = cache.getOrSet('k', async ({ stale }) => {
      await sleep(5)
      return stale ?? 'new'
    })
    cache.invalidateTag('t')
    expect(await conditional).toBe('new')
    expect(cache.get('k')).toBe('new')
    // The same for an update.
    using lists = open<string[]>()
    lists.set('k', ['secret'], { tags: ['t'] })
    const change = vi.fn((value: string[] | undefined) => {
      lists.invalidateTag('t')
      return [...(value ?? []), 'x']
    })
    expect(lists.update('k', change)).toEqual(['x'])
    expect(change).toHaveBeenCalledTimes(2)
  })

  it('who joined a load do not get it when a tag of theirs changed', async () => {
    using cache = open<string>()
    const results = ['old', 'new']
    const load = () => sleep(3).then(() => results.shift() ?? 'later')
    const first = cache.getOrSet('k', load, { tags: ['a'] })
    const second = cache.getOrSet('k', load, { tags: ['b'] })
    cache.invalidateTag('b')
    expect(await second).toBe('new')
    await first
  })

  it('are not served what their own refresh has just invalidated', async () => {
    using cache = open<string>({ ttl: 5, loading: { staleWhileRevalidate: 10_000 } })
    await cache.getOrSet('k', () => 'old')
    await sleep(10)
    let isFirst = true
    const once = (of: Cache<string>) => {
      if (isFirst) of.delete('k')
      isFirst = false
      return 'new'
    }
    const refresh = () => once(cache)
    expect(await cache.getOrSet('k', refresh)).toBe('new')
    using ahead = open<string>({ ttl: 10_000, loading: { refreshAhead: 1 } })
    ahead.set('k', 'old')
    isFirst = true
    expect(await ahead.getOrSet('k', () => once(ahead))).toBe('new')
    let allowed = true
    using decisions = new PolicyCache({
      engine,
      refreshAhead: 1,
      evaluate: () => {
        void decisions.invalidate({ user: 'u' })
        return { allowed }
      },
      hardTimeout: 30,
    })
    await decisions.set(asked, { allowed })
    allowed = false
    await expect(decisions.decide(asked)).rejects.toMatchObject({ code: 'ERR_CACHE_OVERTAKEN' })
  })

  it('who need a newer revision leave what is cached, if they get none', async () => {
    using decisions = new PolicyCache({ engine })
    await decisions.set(asked, { allowed: false, revision: 5 })
    const older = () => ({ allowed: true, revision: 4 })
    await expect(decisions.decide(asked, { evaluate: older, minRevision: 6 })).rejects.toMatchObject({
      code: 'ERR_POLICY_REVISION',
    })
    expect(await decisions.get(asked)).toEqual({ allowed: false, revision: 5 })
  })

  it('who ask past the cache are told of an error, and not of what is cached', async () => {
    using decisions = new PolicyCache({ engine, staleIfError: 10_000 })
    await decisions.set(asked, { allowed: true })
    const evaluate = () => Promise.reject(new Error('down'))
    await expect(decisions.decide(asked, { evaluate, freshness: 'bypass' })).rejects.toThrow('down')
  })

  it('may have one signal for all, without a warning and without a trace', async () => {
    using cache = open<number>()
    const warnings: Error[] = []
    const warn = (warning: Error) => warnings.push(warning)
    process.on('warning', warn)
    const { signal } = new AbortController()
    const calls = Array.from({ length: 50 }, (_, n) =>
      cache.getOrSet(`${n}`, () => sleep(2).then(() => n), { signal }),
    )
    expect(getEventListeners(signal, 'abort')).toHaveLength(1)
    await Promise.all(calls)
    await sleep(1)
    expect(getEventListeners(signal, 'abort')).toHaveLength(0)
    process.off('warning', warn)
    expect(warnings).toEqual([])
  })

  it('take a load that throws nothing at all for one that failed', async () => {
    using cache = open<number>({ loading: { retryAfter: 10_000 } })
    const load = vi.fn(() => Promise.reject(undefined))
    await expect(cache.getOrSet('k', load)).rejects.toBeUndefined()
    await expect(cache.getOrSet('k', load)).rejects.toBeUndefined()
    expect(load).toHaveBeenCalledTimes(1)
    expect(cache.stats()).toMatchObject({ loadErrors: 1, backedOff: 1 })
  })

  it('ask again from what a load has left behind', async () => {
    using cache = open<number>()
    let poll: () => Promise<number> = async () => 0
    await cache.getOrSet('k', async () => {
      poll = () => cache.getOrSet('k', () => 2)
      setTimeout(() => void poll(), 1)
      return 1
    })
    await sleep(5)
    cache.delete('k')
    expect(await poll()).toBe(2)
  })

  it('work where timers are numbers', async () => {
    const { setTimeout: own } = globalThis
    const handles = new Map<number, NodeJS.Timeout>()
    const numeric = ((body: () => void, ms: number) => {
      const number = handles.size + 1
      handles.set(number, own(body, ms))
      return number
    }) as never
    vi.stubGlobal('setTimeout', numeric)
    try {
      using cache = open<number>()
      cache.set('k', 1)
      expect([cache.get('k'), cache.get('k'), await cache.getOrSet('l', () => 2)]).toEqual([1, 1, 2])
    } finally {
      vi.unstubAllGlobals()
    }
    for (const handle of handles.values()) clearTimeout(handle)
  })
})
