import { describe, expect, it } from 'vitest'
import { Cache, type CacheOptions, CleanupTask } from '../../src/index.js'
import { engines, sleep, thrown, uniqueName } from '../support/engines.js'

describe.each(engines)('a namespace on the %s engine', (engine) => {
  const open = <V = unknown>(options: CacheOptions = {}) => new Cache<V>({ engine, ...options })

  it('has keys, counts and statistics of its own, in the bounds of the whole', () => {
    using cache = open<number>({ max: 100 })
    const sessions = cache.namespace<string>('sessions')
    const users = cache.namespace<string>('users')
    cache.set('k', 0)
    sessions.set('k', 's')
    users.set('k', 'u')
    users.set('l', 'u')
    expect([cache.get('k'), sessions.get('k'), users.get('k')]).toEqual([0, 's', 'u'])
    expect([cache.size, sessions.size, users.size]).toEqual([4, 1, 2])
    expect([[...cache.keys()], [...sessions.keys()], [...users.keys()].sort()]).toEqual([
      ['k'],
      ['k'],
      ['k', 'l'],
    ])
    expect([...sessions.entries()]).toEqual([['k', 's']])
    expect(users.stats()).toMatchObject({ sets: 2, hits: 1, misses: 0, size: 2 })
    expect(users.name).toBe('users')
    expect(users.settings.max).toBe(100)
    for (let number = 0; number < 200; number++) sessions.set(`${number}`, 's')
    expect(cache.size).toBe(100)
    expect(sessions.stats().evictions + users.stats().evictions).toBeGreaterThan(100)
  })

  it('is the same one by the same name, in whichever object', () => {
    const name = uniqueName()
    using one = open<number>({ name })
    using two = open<number>({ name })
    one.namespace('a').set('k', 1)
    expect(two.namespace('a').get('k')).toBe(1)
    expect(two.namespace('b').get('k')).toBeUndefined()
    expect(one.namespace('a').name).toBe(`${name}#a`)
  })

  it('may hold others, which are not those of the root', () => {
    using cache = open<number>()
    cache.namespace('a').namespace('b').set('k', 1)
    expect(cache.namespace('b').get('k')).toBeUndefined()
    expect(cache.namespace('a').get('k')).toBeUndefined()
    expect(cache.namespace('a').namespace('b').get('k')).toBe(1)
    // Whatever the names are.
    expect(cache.namespace('a1:b').get('k')).toBeUndefined()
    expect(cache.namespace('1:a1:b').get('k')).toBeUndefined()
  })

  it('is cleared alone, and keeps out what was being loaded', async () => {
    using cache = open<string>()
    const space = cache.namespace('a')
    cache.set('k', 'root')
    space.set('k', 'old')
    expect(space.get('k')).toBe('old')
    let release = (_: string) => {}
    const loads = [new Promise<string>((resolve) => (release = resolve)), Promise.resolve('new')]
    const loading = space.getOrSet('l', () => loads.shift() as Promise<string>)
    space.clear()
    expect([space.size, space.get('k'), cache.get('k')]).toEqual([0, undefined, 'root'])
    release('old')
    expect(await loading).toBe('new')
    cache.clear()
    expect([cache.size, space.size, space.get('l')]).toEqual([0, 0, undefined])
  })

  it('shares the tags of the cache', () => {
    using cache = open<number>()
    const space = cache.namespace<number>('a')
    cache.set('k', 1, { tags: ['t'] })
    space.set('k', 2, { tags: ['t'] })
    space.invalidateTag('t')
    expect([cache.get('k'), space.get('k')]).toEqual([undefined, undefined])
  })

  it('has every verb', async () => {
    using cache = open<number>({ ttl: 10_000, loading: { retryAfter: 10_000 } })
    const space = cache.namespace<number>('a')
    expect(space.increment('n', 2)).toBe(2)
    expect(space.setIfAbsent('n', 5)).toBe(false)
    expect(space.update('n', (value = 0) => value * 2)).toBe(4)
    expect(space.touch('n', 5_000)).toBe(true)
    expect(space.getRemainingTTL('n')).toBeLessThanOrEqual(5_000)
    expect(space.setMany([{ key: 'm', value: 1 }])).toEqual([true])
    expect(space.getMany(['n', 'm', 'o'])).toEqual([4, 1, undefined])
    expect(space.hasMany(['n', 'o'])).toEqual([true, false])
    const wrapped = space.wrap(async (id: number) => id, { key: (id) => `w${id}` })
    expect(await wrapped(7)).toBe(7)
    expect(space.get('w7')).toBe(7)
    expect(cache.get('w7')).toBeUndefined()
    const down = () => Promise.reject(new Error('down'))
    await expect(space.getOrSet('d', down)).rejects.toThrow('down')
    await expect(space.getOrSet('d', () => 1)).rejects.toThrow('down')
    expect(await cache.getOrSet('d', () => 1)).toBe(1)
    expect(space.take('m')).toBe(1)
    expect(space.deleteMany(['n', 'w7'])).toEqual([true, true])
    expect(space.size).toBe(0)
    space.set('short', 1, 5)
    await sleep(15)
    expect(await new CleanupTask(space).trigger()).toBe(1)
  })

  it('closes with its cache, and alone without it', () => {
    const cache = open<number>()
    const [one, two] = [cache.namespace('one'), cache.namespace('two')]
    one.close()
    expect(thrown(() => one.get('k'))).toMatchObject({ code: 'ERR_CACHE_CLOSED' })
    expect(two.get('k')).toBeUndefined()
    cache.close()
    expect(thrown(() => two.get('k'))).toMatchObject({ code: 'ERR_CACHE_CLOSED' })
    expect(thrown(() => two.namespace('three'))).toMatchObject({ code: 'ERR_CACHE_CLOSED' })
    for (const wrong of ['', 5, undefined]) {
      using other = open<number>()
      expect(thrown(() => other.namespace(wrong as never))).toMatchObject({
        code: expect.stringMatching(/^ERR_/),
      })
    }
  })

  it('leaves nothing behind when its cache is closed: no timer, no value, no state', async () => {
    const name = uniqueName()
    const cache = open<string>({ name })
    using other = open<string>({ name })
    const space = cache.namespace<string>('n')
    expect(cache.namespace('n').name).toBe(space.name)
    space.set('k', 'old')
    expect([space.get('k'), space.get('k')]).toEqual(['old', 'old'])
    cache.close()
    other.namespace('n').set('k', 'newer')
    expect(thrown(() => space.get('k'))).toMatchObject({ code: 'ERR_CACHE_CLOSED' })
    await expect(space.getOrSet('k', () => 'x')).rejects.toMatchObject({ code: 'ERR_CACHE_CLOSED' })
    // What was read was to be reported by now.
    await sleep(150)
  })

  it('shares one load and one back-off among all who open it', async () => {
    using cache = open<number>({ loading: { retryAfter: 10_000 } })
    let loads = 0
    const load = async () => {
      loads++
      await sleep(5)
      return loads
    }
    const calls = Array.from({ length: 5 }, () => cache.namespace<number>('n').getOrSet('k', load))
    expect(await Promise.all(calls)).toEqual([1, 1, 1, 1, 1])
    cache.namespace('n').get('k')
    expect(cache.stats().hits).toBe(cache.namespace('n').stats().hits)
  })
})
