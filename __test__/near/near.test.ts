import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Cache, type CacheOptions } from '../../src/index.js'
import { engines, sleep, thrown, uniqueName } from '../support/engines.js'

interface Value {
  list: number[]
  inner?: { deep: number }
}

/** Holds the event loop. */
function stall(ms: number): void {
  const end = performance.now() + ms
  while (performance.now() < end) {
    // Nothing else is done.
  }
}

describe.each(engines)('kept values on the %s engine', (engine) => {
  const open = <V = Value>(options: CacheOptions = {}) => new Cache<V>({ engine, ...options })

  it('are one frozen object as long as nothing changes', () => {
    using cache = open()
    cache.set('k', { list: [1], inner: { deep: 1 } })
    const first = cache.get('k')
    expect(first).toEqual({ list: [1], inner: { deep: 1 } })
    expect(cache.get('k')).toBe(first)
    expect(cache.peek('k')).toBe(first)
    expect(Object.isFrozen(first?.inner)).toBe(true)
    expect(() => first?.list.push(2)).toThrow(TypeError)
    expect(cache.stats()).toMatchObject({ hits: 2, nearHits: 1, misses: 0 })
  })

  it('are the same from getOrSet, on a load and on a hit', async () => {
    using cache = open()
    const loaded = await cache.getOrSet('k', () => ({ list: [1] }))
    expect(Object.isFrozen(loaded.list)).toBe(true)
    const hit = await cache.getOrSet('k', () => ({ list: [2] }))
    expect(hit).toEqual({ list: [1] })
    expect(await cache.getOrSet('k', () => ({ list: [2] }))).toBe(hit)
  })

  it('leave the value that was stored as it is', () => {
    using cache = open()
    const value = { list: [1] }
    cache.set('k', value)
    cache.get('k')
    value.list.push(2)
    expect(cache.get('k')).toEqual({ list: [1] })
  })

  it('are private copies in what take, getMany and entries return', () => {
    using cache = open()
    cache.set('k', { list: [1] })
    cache.get('k')
    for (const value of [cache.getMany(['k'])[0], [...cache.entries()][0]?.[1], cache.take('k')]) {
      value?.list.push(2)
      expect(value).toEqual({ list: [1, 2] })
    }
  })

  it('give way to every change by the same object', () => {
    using cache = open<number>({ ttl: 60_000 })
    const changes: [string, () => unknown, number | undefined][] = [
      ['set', () => cache.set('k', 2), 2],
      ['set with a fence', () => cache.set('k', 2, { fence: cache.fence() }), 2],
      ['setMany', () => cache.setMany([{ key: 'k', value: 2 }]), 2],
      ['a TTL of 0', () => cache.set('k', 2, 0), undefined],
      ['delete', () => cache.delete('k'), undefined],
      ['deleteMany', () => cache.deleteMany(['k']), undefined],
      ['take', () => cache.take('k'), undefined],
      ['clear', () => cache.clear(), undefined],
      ['invalidateTag', () => cache.invalidateTag('t'), undefined],
      ['invalidateTags', () => cache.invalidateTags(['t']), undefined],
    ]
    for (const [name, change, after] of changes) {
      cache.set('k', 1, { tags: ['t'] })
      cache.get('k')
      expect(cache.get('k'), name).toBe(1)
      change()
      expect(cache.get('k'), name).toBe(after)
      expect(cache.peek('k'), name).toBe(after)
    }
  })

  it('stay when something else changes', () => {
    using cache = open()
    cache.set('k', { list: [1] }, { tags: ['a'] })
    const first = cache.get('k')
    for (let other = 0; other < 20_000; other++) cache.set(`other ${other % 500}`, { list: [] })
    cache.invalidateTag('b')
    cache.delete('other 1')
    expect(cache.get('k')).toBe(first)
  })

  it('are gone when the entry is evicted', () => {
    using cache = open<number>({ max: 3 })
    for (const key of ['a', 'b', 'c']) cache.set(key, 1)
    for (let read = 0; read < 3; read++) cache.get('a')
    for (const key of ['d', 'e', 'f']) cache.set(key, 1)
    expect([cache.has('a'), cache.get('a'), cache.size]).toEqual([false, undefined, 3])
  })

  it('keep their entry from being evicted by being read', () => {
    using cache = open<number>({ max: 100 })
    for (let key = 0; key < 100; key++) cache.set(`${key}`, key)
    for (let key = 0; key < 5_000; key++) {
      expect(cache.get('7')).toBe(7)
      cache.set(`new ${key}`, key)
    }
    expect(cache.stats().nearHits).toBeGreaterThan(2_000)
  })

  it('expire to the millisecond, whether or not the event loop is held', async () => {
    using cache = open<number>()
    for (const [ttl, wait] of [
      [40, stall],
      [40, sleep],
      [600, stall],
      [600, sleep],
    ] as const) {
      const start = performance.now()
      cache.set('k', ttl, ttl)
      const end = performance.now() + ttl + 1
      /** Whether it is there, as long as it must be: this thread may have to wait for its processor. */
      const check = () => {
        const value = cache.get('k')
        if (performance.now() < start + ttl - 1) expect(value).toBe(ttl)
      }
      for (let read = 0; read < 100; read++) check()
      await wait(ttl / 2)
      check()
      await wait(end - performance.now())
      expect(cache.get('k')).toBeUndefined()
      expect(cache.peek('k')).toBeUndefined()
    }
  })

  it('expire to the millisecond by the clock itself, if it is to be exact', () => {
    using cache = open<number>({ near: { clock: 'exact' } })
    cache.set('k', 1, 50)
    const start = performance.now()
    let began = 0
    do {
      expect(began).toBeLessThan(52)
      began = performance.now() - start
    } while (cache.get('k') === 1)
    expect(performance.now() - start).toBeGreaterThan(48)
    expect(cache.stats().nearHits).toBeGreaterThan(0)
  })

  it('leave the order of use exact in a small cache', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 12 }),
        fc.array(fc.record({ reads: fc.boolean(), key: fc.nat(15) }), { maxLength: 300 }),
        (max, steps) => {
          using cache = open<number>({ max })
          const order: number[] = []
          for (const { reads, key } of steps) {
            const known = order.indexOf(key)
            expect(cache.peek(`${key}`) !== undefined).toBe(known >= 0)
            if (reads) cache.get(`${key}`)
            else cache.set(`${key}`, key)
            if (known >= 0) order.splice(known, 1)
            if (known >= 0 || !reads) order.push(key)
            if (order.length > max) order.shift()
          }
        },
      ),
    )
  })

  it('are bounded, long keys included', () => {
    using cache = open<number>({ maxSize: 2 ** 20, near: { max: 3, maxSize: 5_000 } })
    for (let round = 0; round < 3; round++) {
      for (let key = 0; key < 6; key++) {
        const name = 'x'.repeat(key * 1_000)
        cache.set(name, key)
        expect([cache.get(name), cache.get(name)]).toEqual([key, key])
      }
    }
    // Those of the two longest keys are larger than all copies may be.
    const reads = ['', 'x'.repeat(5_000)].map((name) => {
      const before = cache.stats().nearHits
      cache.get(name)
      cache.get(name)
      return cache.stats().nearHits - before
    })
    expect(reads).toEqual([1, 0])
  })

  it('are served until they expire by a loop that never lets go', () => {
    using cache = open<number>()
    cache.set('k', 1, 700)
    const start = performance.now()
    let last = 0
    for (;;) {
      const began = performance.now() - start
      if (began > 720 || cache.get('k') === undefined) break
      last = began
    }
    // This thread may have had to wait for its processor.
    expect(last).toBeGreaterThan(300)
    expect(last).toBeLessThan(702)
  })

  it('of the v8 serializer are frozen where they can be, and private where not', () => {
    using cache = open<unknown>({ serializer: 'v8' })
    const plain: Record<string, unknown> = { n: 1n, list: [undefined] }
    plain.self = plain
    cache.set('plain', plain)
    cache.set('map', { map: new Map([[1, 2]]) })
    expect(cache.get('plain')).toBe(cache.get('plain'))
    expect(Object.isFrozen(cache.get('plain'))).toBe(true)
    const map = cache.get('map') as { map: Map<number, number> }
    map.map.set(3, 4)
    expect(cache.get('map')).toEqual({ map: new Map([[1, 2]]) })
  })

  it('are private copies of bytes', () => {
    using cache = open<Uint8Array>()
    cache.set('k', new Uint8Array([1, 2]))
    cache.get('k')?.fill(9)
    expect(cache.get('k')).toEqual(new Uint8Array([1, 2]))
    expect(cache.peek('k')).toEqual(new Uint8Array([1, 2]))
  })

  it('throw after close as every read does', () => {
    const cache = open()
    cache.set('k', { list: [1] })
    cache.get('k')
    cache.close()
    expect(thrown(() => cache.get('k')).code).toBe('ERR_CACHE_CLOSED')
    expect(thrown(() => cache.peek('k')).code).toBe('ERR_CACHE_CLOSED')
    cache.close()
  })

  it('see the writes of another cache of the name', () => {
    const name = uniqueName()
    using first = open<number>({ name })
    using second = open<number>({ name, near: false })
    first.set('k', 1)
    expect([first.get('k'), first.get('k')]).toEqual([1, 1])
    second.set('k', 2)
    expect(first.get('k')).toBe(2)
    second.clear()
    expect(first.get('k')).toBeUndefined()
  })

  it.each([
    [{ near: true }, 'ERR_INVALID_ARG_TYPE'],
    [{ near: null }, 'ERR_INVALID_ARG_TYPE'],
    [{ near: { max: 0 } }, 'ERR_OUT_OF_RANGE'],
    [{ near: { max: 1.5 } }, 'ERR_OUT_OF_RANGE'],
    [{ near: { maxSize: 'x' } }, 'ERR_INVALID_ARG_TYPE'],
    [{ near: { clock: 'wall' } }, 'ERR_OUT_OF_RANGE'],
    [{ policy: 'mru' }, 'ERR_OUT_OF_RANGE'],
  ])('refuses %j', (options, code) => {
    expect(thrown(() => open(options as CacheOptions)).code).toBe(code)
  })
})
