import { describe, expect, it } from 'vitest'
import { Cache, type CacheOptions } from '../src/index.js'
import { engines, sleep, thrown, uniqueName } from './helpers/engines.js'

describe.each(engines)('Cache on the %s engine', (engine) => {
  const open = <V = unknown>(options: CacheOptions = {}) => new Cache<V>({ engine, ...options })

  it('gives back what was stored', () => {
    using cache = open()
    expect(cache.engine).toBe(engine)
    expect(cache.set('k', { allowed: true, list: [1, 'two', null] })).toBe(true)
    expect(cache.get('k')).toEqual({ allowed: true, list: [1, 'two', null] })
    expect(cache.get('other')).toBeUndefined()
    expect(cache.size).toBe(1)
  })

  it.each([
    ['an empty string', ''],
    ['zero', 0],
    ['false', false],
    ['null', null],
    ['an empty object', {}],
    ['an empty list', []],
    ['text beyond Latin-1', 'déjà vu 漢字 \u{1f600}'],
    ['a lone surrogate', 'a\ud800b'],
    ['a long text', 'x'.repeat(100_000)],
    ['a long wide text', '漢'.repeat(70_000)],
    ['text of exactly the inline length', 'y'.repeat(254)],
    ['text one longer', 'y'.repeat(255)],
    ['text two longer', 'y'.repeat(256)],
  ])('holds %s as a value, not as a miss', (_, value) => {
    using cache = open()
    expect(cache.set('k', value)).toBe(true)
    expect(cache.get('k')).toEqual(value)
    expect(cache.peek('k')).toEqual(value)
    expect(cache.has('k')).toBe(true)
    expect(cache.take('k')).toEqual(value)
    expect(cache.has('k')).toBe(false)
  })

  it('gives each reader a copy of its own, if it keeps none', () => {
    using cache = open<{ list: number[] }>({ near: false })
    const value = { list: [1] }
    cache.set('k', value)
    value.list.push(2)
    cache.get('k')?.list.push(3)
    expect(cache.get('k')).toEqual({ list: [1] })
  })

  it('keeps bytes as bytes', () => {
    using cache = open<Uint8Array>()
    for (const bytes of [
      new Uint8Array([0, 1, 255]),
      Buffer.from('text'),
      new Uint8Array(0),
      new Uint8Array(9_000).fill(7),
    ]) {
      cache.set('k', bytes)
      const back = cache.get('k')
      expect(back).toBeInstanceOf(Uint8Array)
      expect(Buffer.from(back as Uint8Array)).toEqual(Buffer.from(bytes))
    }
    cache.set('k', new Uint8Array(new SharedArrayBuffer(4)).fill(3))
    expect(cache.get('k')).toEqual(new Uint8Array([3, 3, 3, 3]))
    const mine = new Uint8Array([1, 2])
    cache.set('k', mine)
    mine[0] = 9
    const first = cache.get('k') as Uint8Array
    expect(first[0]).toBe(1)
    first[0] = 8
    expect(cache.get('k')?.[0]).toBe(1)
  })

  it('evicts the least recently used', () => {
    using cache = open<number>({ max: 3 })
    cache.set('a', 1)
    cache.set('b', 2)
    cache.set('c', 3)
    cache.get('a')
    cache.peek('b')
    cache.has('b')
    cache.set('d', 4)
    expect([...cache.keys()].sort()).toEqual(['a', 'c', 'd'])
    expect(cache.stats().evictionsByMax).toBe(1)
    cache.set('a', 5)
    expect(cache.size).toBe(3)
    expect(cache.stats().evictions).toBe(1)
  })

  it('holds one entry with a capacity of one', () => {
    using cache = open<number>({ max: 1 })
    for (let number = 0; number < 5; number++) {
      cache.set(`k${number}`, number)
      expect([...cache.entries()]).toEqual([[`k${number}`, number]])
    }
  })

  it('bounds the bytes it holds and counts them as documented', () => {
    using cache = open<string>({ maxSize: 1_000 })
    cache.set('key', 'value')
    expect(cache.bytes).toBe(3 + 7 + 96)
    cache.set('key', 'välue')
    expect(cache.bytes).toBe(3 + 7 + 96)
    cache.set('key', 'v漢lue')
    expect(cache.bytes).toBe(3 + 14 + 96)
    cache.set('漢', '')
    expect(cache.bytes).toBe(3 + 14 + 96 + 2 + 2 + 96)
    cache.clear()
    expect(cache.bytes).toBe(0)
    for (let number = 0; number < 100; number++) {
      cache.set(`key ${number}`, 'v'.repeat(number))
      expect(cache.bytes).toBeLessThanOrEqual(1_000)
    }
    expect(cache.has('key 99')).toBe(true)
    expect(cache.stats().evictionsByMaxSize).toBeGreaterThan(80)
  })

  it('refuses what is larger than one entry may be, and removes what it would have replaced', () => {
    using cache = open<string>({ max: 10, maxEntrySize: 200 })
    expect(cache.set('k', 'small')).toBe(true)
    expect(cache.set('other', 'small')).toBe(true)
    expect(cache.set('k', 'x'.repeat(200))).toBe(false)
    expect(cache.get('k')).toBeUndefined()
    expect(cache.get('other')).toBe('small')
    expect(cache.stats().rejections).toBe(1)
    using bounded = open<string>({ maxSize: 300 })
    expect(bounded.set('k', 'x'.repeat(300))).toBe(false)
  })

  it('expires entries and does not renew them on reads', async () => {
    using cache = open<number>({ ttl: 60 })
    cache.set('default', 1)
    cache.set('long', 2, 60_000)
    cache.set('short', 3, { ttl: 20 })
    cache.set('for ever', 4, Infinity)
    cache.set('at', 5, { expiresAt: Date.now() + 60_000 })
    expect(cache.getRemainingTTL('default')).toBeGreaterThan(30)
    expect(cache.getRemainingTTL('default')).toBeLessThanOrEqual(60)
    expect(cache.getRemainingTTL('for ever')).toBe(Infinity)
    expect(cache.getRemainingTTL('none')).toBe(0)
    expect(cache.getRemainingTTL('at')).toBeGreaterThan(50_000)
    const end = performance.now() + 160
    while (performance.now() < end) {
      cache.get('default')
      await sleep(5)
    }
    expect([...cache.keys()].sort()).toEqual(['at', 'for ever', 'long'])
    expect(cache.get('default')).toBeUndefined()
    expect(cache.has('short')).toBe(false)
    expect(cache.stats().expirations).toBeGreaterThanOrEqual(1)
  })

  it('lives no shorter than asked for, and at most 100 ms longer', async () => {
    using cache = open<number>()
    cache.set('k', 1, 80)
    const start = performance.now()
    while (cache.has('k')) await sleep(1)
    const lived = performance.now() - start
    expect(lived).toBeGreaterThan(77)
    expect(lived).toBeLessThan(180)
  })

  it('removes only what expired when it purges', async () => {
    using cache = open<number>({ max: 10_000 })
    for (let number = 0; number < 2_000; number++) cache.set(`short ${number}`, number, 5)
    for (let number = 0; number < 1_000; number++) cache.set(`long ${number}`, number, 60_000)
    cache.set('always', 1)
    expect(cache.purgeSlice(0).removed).toBeLessThanOrEqual(2_000)
    await sleep(30)
    // Some may have been removed by the writes.
    expect(cache.purgeSlice(0).removed + cache.purgeStale()).toBeLessThanOrEqual(2_000)
    expect(cache.size).toBe(1_001)
    expect(cache.purgeSlice(1)).toEqual({ removed: 0, done: true })
    expect(cache.stats().expirations).toBe(2_000)
  })

  it('lets expired entries go before live ones', async () => {
    using cache = open<number>({ max: 10 })
    for (let number = 0; number < 5; number++) cache.set(`live ${number}`, number)
    for (let number = 0; number < 5; number++) cache.set(`dead ${number}`, number, 5)
    await sleep(20)
    for (let number = 0; number < 5; number++) cache.set(`new ${number}`, number)
    expect([...cache.keys()]).toHaveLength(10)
    expect(cache.stats()).toMatchObject({ evictions: 0, expirations: 5 })
  })

  it('stores nothing with a TTL of 0 or a time that has passed, and removes what was there', () => {
    using cache = open<number>()
    for (const options of [0, { ttl: 0 }, { expiresAt: Date.now() - 1 }, { expiresAt: -Infinity }]) {
      cache.set('k', 1)
      expect(cache.set('k', 2, options)).toBe(false)
      expect(cache.has('k')).toBe(false)
    }
    expect(cache.size).toBe(0)
  })

  it('takes any positive TTL', () => {
    using cache = open<number>()
    for (const ttl of [0.001, 1.5, 2 ** 31, 2 ** 32, Number.MAX_SAFE_INTEGER, Number.MAX_VALUE, Infinity]) {
      expect(cache.set('k', 1, ttl)).toBe(true)
      if (ttl > 1_000) expect(cache.get('k')).toBe(1)
    }
    expect(cache.set('k', 1, { expiresAt: Infinity })).toBe(true)
    expect(cache.getRemainingTTL('k')).toBe(Infinity)
  })

  it('deletes once and takes once', () => {
    using cache = open<number>()
    cache.set('k', 1)
    expect(cache.delete('k')).toBe(true)
    expect(cache.delete('k')).toBe(false)
    cache.set('k', 2)
    expect(cache.take('k')).toBe(2)
    expect(cache.take('k')).toBeUndefined()
    expect(cache.stats().deletes).toBe(2)
  })

  it('clears everything and goes on', () => {
    using cache = open<number>({ max: 100 })
    for (let round = 1; round <= 3; round++) {
      for (let number = 0; number < 150; number++) cache.set(`${number}`, number, 60_000)
      cache.clear()
      expect(cache.size).toBe(0)
      expect([...cache]).toEqual([])
      expect(cache.stats().cleared).toBe(100 * round)
    }
  })

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

  it('counts what happened', () => {
    using cache = open<number>({ max: 2 })
    cache.set('a', 1)
    cache.get('a')
    cache.get('x')
    cache.get('y')
    expect(cache.stats()).toMatchObject({ hits: 1, misses: 2, sets: 1, hitRate: 1 / 3, size: 1 })
    cache.resetStats()
    expect(cache.stats()).toMatchObject({ hits: 0, misses: 0, sets: 0, hitRate: 0, size: 1, evictions: 0 })
  })

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

  it('takes no fence of another cache for its own', () => {
    using busy = open<number>()
    for (let number = 0; number < 100; number++) busy.set(`${number}`, number)
    using cache = open<string>()
    expect(cache.set('k', 'allow', { fence: busy.fence(), tags: ['u'] })).toBe(false)
    expect(cache.has('k')).toBe(false)
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

  it('refuses values whose load began before a change', () => {
    using cache = open<number>()
    const changes: (() => unknown)[] = [
      () => cache.set('k', 2),
      () => cache.delete('k'),
      () => cache.take('k'),
      () => cache.clear(),
      () => cache.invalidateTag('t'),
      () => cache.invalidateTags(['s', 't']),
      () => cache.set('k', 2, 0),
    ]
    for (const change of changes) {
      const fence = cache.fence()
      change()
      const after = cache.peek('k')
      expect(cache.set('k', 1, { fence, tags: ['t'] })).toBe(false)
      expect(cache.peek('k')).toBe(after)
      expect(cache.set('k', 1, { fence: cache.fence(), tags: ['t'] })).toBe(true)
    }
    expect(cache.stats().fenced).toBe(changes.length)
  })

  it('hides what carries an invalidated tag and nothing else', () => {
    using cache = open<string>()
    cache.set('a', 'a', { tags: ['x', 'y'] })
    cache.set('b', 'b', { tags: ['y'] })
    cache.set('c', 'c', { tags: ['\ud800'] })
    cache.set('d', 'd')
    cache.invalidateTag('x')
    cache.invalidateTag('\ud801')
    expect(cache.getMany(['a', 'b', 'c', 'd'])).toEqual([undefined, 'b', 'c', 'd'])
    cache.set('a', 'again', { tags: ['x', 'y'] })
    expect(cache.get('a')).toBe('again')
    expect(cache.stats().invalidations).toBe(1)
  })
})

describe('Cache with the v8 serializer', () => {
  it.each(engines)('holds what JSON cannot on the %s engine', (engine) => {
    using cache = new Cache<unknown>({ engine, serializer: 'v8' })
    const cycle: Record<string, unknown> = { name: 'cycle' }
    cycle.self = cycle
    for (const value of [
      new Map([['a', new Set([1, 2n])]]),
      new Date(5),
      12345678901234567890n,
      new Float64Array([1, Number.NaN]),
      new Uint8Array([1, 2, 3]),
      cycle,
      null,
      Number.NaN,
      'text',
    ]) {
      cache.set('k', value)
      expect(cache.get('k')).toEqual(value)
    }
    expect(thrown(() => cache.set('k', () => 1))).toMatchObject({ code: 'ERR_CACHE_NOT_SERIALIZABLE' })
    expect(thrown(() => cache.set('k', undefined))).toMatchObject({ code: 'ERR_CACHE_NOT_SERIALIZABLE' })
    expect(cache.get('k')).toBe('text')
  })
})

describe('Cache with the json serializer', () => {
  const cycle: Record<string, unknown> = {}
  cycle.self = cycle
  class Secret {
    readonly #inside = 1
    get inside() {
      return this.#inside
    }
  }
  it.each([
    ['undefined', undefined],
    ['a function', () => 1],
    ['a symbol', Symbol('s')],
    ['a BigInt', 1n],
    ['a nested BigInt', { a: [1n] }],
    ['a cycle', cycle],
    ['NaN', Number.NaN],
    ['Infinity', Infinity],
    ['a Map', new Map([[1, 2]])],
    ['a Set', new Set([1])],
    ['a Promise', Promise.resolve(1)],
    ['an Error', new Error('lost')],
    ['a Float64Array', new Float64Array(2)],
    ['a DataView', new DataView(new ArrayBuffer(2))],
    ['an instance with nothing to see', new Secret()],
  ])('refuses %s and keeps what was there', (_, value) => {
    using cache = new Cache<unknown>()
    cache.set('k', 'before')
    expect(thrown(() => cache.set('k', value))).toMatchObject({
      name: 'TypeError',
      code: 'ERR_CACHE_NOT_SERIALIZABLE',
    })
    expect(cache.get('k')).toBe('before')
  })

  it('takes objects without a prototype, and if it is told to what has a JSON form of its own', () => {
    using cache = new Cache<unknown>({ json: 'lenient' })
    cache.set('date', new Date(0))
    expect(cache.get('date')).toBe('1970-01-01T00:00:00.000Z')
    cache.set('bare', Object.create(null))
    expect(cache.get('bare')).toEqual({})
    cache.set('url', new URL('https://example.org/'))
    expect(cache.get('url')).toBe('https://example.org/')
  })
})
