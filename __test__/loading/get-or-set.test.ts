import { describe, expect, it, vi } from 'vitest'
import { Cache, type CacheOptions, type LoadContext } from '../../src/index.js'
import { engines, sleep } from '../support/engines.js'

/** A promise with its ends. */
function deferred<T>() {
  let resolve!: (value: T) => void
  let reject!: (reason: unknown) => void
  const promise = new Promise<T>((onResolve, onReject) => {
    resolve = onResolve
    reject = onReject
  })
  return { promise, resolve, reject }
}

describe.each(engines)('getOrSet on the %s engine', (engine) => {
  const open = <V = unknown>(options: CacheOptions = {}) => new Cache<V>({ engine, ...options })

  it('loads once and then answers from the cache', async () => {
    using cache = open<number>()
    const load = vi.fn(async () => 7)
    expect(await cache.getOrSet('k', load)).toBe(7)
    expect(await cache.getOrSet('k', load)).toBe(7)
    expect(load).toHaveBeenCalledTimes(1)
    expect(cache.stats()).toMatchObject({ loads: 1, hits: 1, misses: 1, sets: 1 })
  })

  it.each([[null], [false], [0], ['']])('takes %j for a result', async (value) => {
    using cache = open<unknown>()
    const load = vi.fn(() => value)
    expect(await cache.getOrSet('k', load)).toBe(value)
    expect(await cache.getOrSet('k', load)).toBe(value)
    expect(load).toHaveBeenCalledTimes(1)
  })

  it('shares one load among all who wait, each with a copy of its own if none is kept', async () => {
    using cache = open<{ list: number[] }>({ near: false })
    const gate = deferred<{ list: number[] }>()
    const load = vi.fn(() => gate.promise)
    const waiting = Array.from({ length: 10 }, () => cache.getOrSet('k', load))
    gate.resolve({ list: [1] })
    const results = await Promise.all(waiting)
    results[0]?.list.push(2)
    expect(results.slice(1)).toEqual(Array(9).fill({ list: [1] }))
    expect(cache.get('k')).toEqual({ list: [1] })
    expect(load).toHaveBeenCalledTimes(1)
    expect(cache.stats()).toMatchObject({ loads: 1, loadsShared: 9 })
  })

  it('gives everyone the error, stores none, and loads again', async () => {
    using cache = open<number>()
    const broken = new Error('no answer')
    const gate = deferred<number>()
    const waiting = [1, 2, 3].map(() => cache.getOrSet('k', () => gate.promise))
    gate.reject(broken)
    for (const result of await Promise.allSettled(waiting)) {
      expect(result).toEqual({ status: 'rejected', reason: broken })
    }
    const thrower = () => {
      throw broken
    }
    await expect(cache.getOrSet('k', thrower)).rejects.toBe(broken)
    expect(cache.has('k')).toBe(false)
    expect(await cache.getOrSet('k', () => 5)).toBe(5)
    expect(cache.stats()).toMatchObject({ loads: 3, loadErrors: 2 })
  })

  it('refuses a result that cannot be stored', async () => {
    using cache = open<unknown>()
    for (const value of [undefined, 1n, new Map()]) {
      await expect(cache.getOrSet('k', () => value)).rejects.toMatchObject({
        code: 'ERR_CACHE_NOT_SERIALIZABLE',
      })
    }
    expect(cache.size).toBe(0)
  })

  it('frees the key of a load that never settles', async () => {
    using cache = open<number>()
    let signal: AbortSignal | undefined
    const never = (context: LoadContext) => {
      signal = context.signal
      return new Promise<number>(() => {})
    }
    const waiting = [1, 2].map(() => cache.getOrSet('k', never, { hardTimeout: 20 }))
    for (const result of await Promise.allSettled(waiting)) {
      expect(result).toMatchObject({ status: 'rejected', reason: { code: 'ERR_CACHE_LOAD_TIMEOUT' } })
    }
    expect(signal?.aborted).toBe(true)
    expect(await cache.getOrSet('k', () => 1)).toBe(1)
  })

  it('does not store what comes after its time-out', async () => {
    using cache = open<number>()
    const gate = deferred<number>()
    await expect(cache.getOrSet('k', () => gate.promise, { hardTimeout: 5 })).rejects.toThrow('5 ms')
    gate.resolve(1)
    await sleep(5)
    expect(cache.has('k')).toBe(false)
  })

  it('lets one caller go without the others, and ends the load with the last', async () => {
    using cache = open<number>()
    const gate = deferred<number>()
    let signal: AbortSignal | undefined
    const load = (context: LoadContext) => {
      signal = context.signal
      return gate.promise
    }
    const [first, second] = [new AbortController(), new AbortController()]
    const one = cache.getOrSet('k', load, { signal: first.signal })
    const two = cache.getOrSet('k', load, { signal: second.signal })
    first.abort(new Error('first'))
    await expect(one).rejects.toThrow('first')
    expect(signal?.aborted).toBe(false)
    gate.resolve(3)
    expect(await two).toBe(3)

    const late = deferred<number>()
    const third = new AbortController()
    const alone = cache.getOrSet('l', () => late.promise, { signal: third.signal })
    third.abort(new Error('third'))
    await expect(alone).rejects.toThrow('third')
    expect(await cache.getOrSet('l', () => 4)).toBe(4)
    late.resolve(5)
    await sleep(1)
    expect(cache.get('l')).toBe(4)
    await expect(
      cache.getOrSet('m', () => 1, { signal: AbortSignal.abort(new Error('before')) }),
    ).rejects.toThrow('before')
    expect(cache.has('m')).toBe(false)
  })

  it.each([
    ['invalidateTag', (cache: Cache<string>) => cache.invalidateTag('t')],
    ['delete', (cache: Cache<string>) => cache.delete('k')],
    ['clear', (cache: Cache<string>) => cache.clear()],
  ])('never serves or stores what %s overtook', async (_, change) => {
    using cache = open<string>()
    const old = deferred<string>()
    const fresh = deferred<string>()
    const loads = [old.promise, fresh.promise]
    const load = vi.fn(() => loads.shift() ?? 'later')
    const before = cache.getOrSet('k', load, { tags: ['t'] })
    change(cache)
    // A call made after the change must not join the load begun before it.
    const after = cache.getOrSet('k', load, { tags: ['t'] })
    expect(load).toHaveBeenCalledTimes(2)
    old.resolve('old')
    await sleep(1)
    expect(cache.get('k')).toBeUndefined()
    fresh.resolve('fresh')
    expect(await after).toBe('fresh')
    expect(await before).toBe('fresh')
    expect(cache.get('k')).toBe('fresh')
    expect(load).toHaveBeenCalledTimes(2)
  })

  it('leaves a newer value that was set during the load', async () => {
    using cache = open<string>()
    const gate = deferred<string>()
    const loading = cache.getOrSet('k', () => gate.promise)
    cache.set('k', 'newer')
    gate.resolve('older')
    expect(await loading).toBe('newer')
    expect(cache.get('k')).toBe('newer')
  })

  it('gives no value when every load is overtaken, and lets others have their turn', async () => {
    using cache = open<number>()
    let turns = 0
    const spin = setInterval(() => turns++, 1)
    const load = async () => {
      cache.delete('k')
      return 1
    }
    await expect(cache.getOrSet('k', load, { hardTimeout: 60 })).rejects.toMatchObject({
      code: 'ERR_CACHE_OVERTAKEN',
    })
    clearInterval(spin)
    expect(turns).toBeGreaterThan(3)
    expect(cache.has('k')).toBe(false)
    // As soon as a load is left alone, it counts.
    let loads = 0
    const calmed = async () => {
      if (++loads < 8) cache.delete('l')
      return loads
    }
    expect(await cache.getOrSet('l', calmed)).toBe(8)
    expect(cache.get('l')).toBe(8)
  })

  it('notices a signal that is aborted while the load begins, and leaves nothing on it', async () => {
    using cache = open<number>()
    const controller = new AbortController()
    const load = () => {
      controller.abort(new Error('at once'))
      return new Promise<number>(() => {})
    }
    await expect(cache.getOrSet('k', load, { signal: controller.signal })).rejects.toThrow('at once')
    const { signal } = new AbortController()
    const remove = vi.spyOn(signal, 'removeEventListener')
    const add = vi.spyOn(signal, 'addEventListener')
    const never = () => new Promise<number>(() => {})
    await expect(cache.getOrSet('l', never, { signal, timeout: 1 })).rejects.toThrow('1 ms')
    expect(add).toHaveBeenCalledTimes(1)
    expect(remove).toHaveBeenCalledTimes(1)
  })

  it('counts one time-out for the call, however many loads it comes to', async () => {
    using cache = open<number>()
    const load = async () => {
      await sleep(20)
      cache.delete('k')
      return 1
    }
    const start = performance.now()
    await expect(cache.getOrSet('k', load, { timeout: 50 })).rejects.toMatchObject({
      code: 'ERR_CACHE_LOAD_TIMEOUT',
    })
    expect(performance.now() - start).toBeLessThan(1_000)
  })

  it('refuses a load that asks for its own key, at once, directly or through others', async () => {
    using cache = open<number>()
    const recursive = { code: 'ERR_CACHE_RECURSIVE_LOAD', message: expect.stringContaining('"k"') }
    const outer = cache.getOrSet('k', async () => (await cache.getOrSet('k', () => 1)) + 1)
    await expect(outer).rejects.toMatchObject(recursive)
    const circle = cache.getOrSet('k', () => cache.getOrSet('l', () => cache.getOrSet('k', () => 1)))
    await expect(circle).rejects.toMatchObject(recursive)
    expect(await cache.getOrSet('k', () => cache.getOrSet('l', () => 2))).toBe(2)
    const later = cache.getOrSet(
      'm',
      async () => {
        await sleep(1)
        return cache.getOrSet('m', () => 1)
      },
      { hardTimeout: 30 },
    )
    const isFollowed = Number(process.versions.node.split('.')[0]) >= 24
    await expect(later).rejects.toMatchObject({
      code: isFollowed ? 'ERR_CACHE_RECURSIVE_LOAD' : 'ERR_CACHE_LOAD_TIMEOUT',
    })
  })

  it('joins no load that a change of its own tags has overtaken', async () => {
    using cache = open<string>()
    const gate = deferred<string>()
    const first = cache.getOrSet('k', () => gate.promise, { tags: ['a'] })
    cache.invalidateTag('b')
    expect(await cache.getOrSet('k', () => 'fresh', { tags: ['b'] })).toBe('fresh')
    gate.resolve('old')
    expect(await first).toBe('fresh')
  })

  it('keeps the tags as they were when it was called', async () => {
    using cache = open<string>()
    const tags = ['t']
    const gate = deferred<string>()
    const loading = cache.getOrSet('k', () => gate.promise, { tags })
    tags.length = 0
    gate.resolve('v')
    await loading
    cache.invalidateTag('t')
    expect(cache.has('k')).toBe(false)
    cache.set('p', 'v', { tags: new Proxy(['t'], {}) })
    cache.invalidateTag('t')
    expect(cache.has('p')).toBe(false)
  })

  it('loads each of many keys once, side by side', async () => {
    using cache = open<number>({ max: 1_000 })
    let loads = 0
    const keys = Array.from({ length: 1_000 }, (_, at) => `key ${at}`)
    const load = async () => {
      await sleep(5)
      return ++loads
    }
    await Promise.all(keys.map((key) => cache.getOrSet(key, load)))
    expect(loads).toBe(1_000)
    expect(cache.stats().fenced).toBe(0)
  })

  it('gives each caller bytes of its own', async () => {
    using cache = open<Uint8Array>()
    const loaded = new Uint8Array([1])
    const load = async () => {
      await sleep(1)
      return loaded
    }
    const [a, b] = await Promise.all([cache.getOrSet('k', load), cache.getOrSet('k', load)])
    ;(a as Uint8Array)[0] = 2
    loaded[0] = 3
    expect([b?.[0], cache.get('k')?.[0]]).toEqual([1, 1])
  })

  it('counts the TTL from the start of the load', async () => {
    using cache = open<number>()
    const slow = async () => {
      await sleep(60)
      return 1
    }
    await cache.getOrSet('k', slow, { ttl: 10_000 })
    expect(cache.getRemainingTTL('k')).toBeLessThanOrEqual(9_950)
    expect(await cache.getOrSet('l', slow, { ttl: 30 })).toBe(1)
    expect(cache.has('l')).toBe(false)
    using short = open<number>({ ttl: 10_000 })
    await short.getOrSet('k', slow)
    expect(short.getRemainingTTL('k')).toBeLessThanOrEqual(9_950)
  })

  it('lets the load choose its TTL', async () => {
    using cache = open<number>({ ttl: 1_000 })
    const load = (ttl: number | undefined) => (context: LoadContext) => {
      expect(context.ttl).toBe(500)
      expect(context.stale).toBeUndefined()
      context.ttl = ttl
      return 1
    }
    await cache.getOrSet('k', load(60_000), { ttl: 500 })
    expect(cache.getRemainingTTL('k')).toBeGreaterThan(50_000)
    await cache.getOrSet('l', load(0), { ttl: 500 })
    expect(cache.has('l')).toBe(false)
    await cache.getOrSet('m', load(undefined), { ttl: 500 })
    expect(cache.getRemainingTTL('m')).toBeGreaterThan(900)
    await expect(cache.getOrSet('n', load(-1), { ttl: 500 })).rejects.toThrow(RangeError)
  })

  it('refuses wrong arguments before it loads', async () => {
    using cache = open<number>()
    const load = vi.fn(() => 1)
    await expect(cache.getOrSet(5 as never, load)).rejects.toThrow(TypeError)
    await expect(cache.getOrSet('k', 5 as never)).rejects.toThrow(TypeError)
    await expect(cache.getOrSet('k', load, { ttl: -1 })).rejects.toThrow(RangeError)
    await expect(cache.getOrSet('k', load, { hardTimeout: Number.NaN })).rejects.toThrow(RangeError)
    await expect(cache.getOrSet('k', load, { tags: [5 as never] })).rejects.toThrow(TypeError)
    expect(load).not.toHaveBeenCalled()
  })

  it('wraps a function, keeping its arguments', async () => {
    using cache = open<string>()
    const load = vi.fn(async (user: { id: number }, suffix: string) => `${user.id}${suffix}`)
    const cached = cache.wrap(load, { key: (user, suffix) => `${user.id}:${suffix}`, ttl: 60_000 })
    expect(await cached({ id: 1 }, 'a')).toBe('1a')
    expect(await cached({ id: 1 }, 'a')).toBe('1a')
    expect(await cached({ id: 2 }, 'a')).toBe('2a')
    expect(load).toHaveBeenCalledTimes(2)
    expect(cache.getRemainingTTL('1:a')).toBeGreaterThan(50_000)
    expect(() => cache.wrap(5 as never, { key: () => 'k' })).toThrow(TypeError)
    expect(() => cache.wrap(load, {} as never)).toThrow('key must be a function')
  })
})
