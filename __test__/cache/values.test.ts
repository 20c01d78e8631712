import { describe, expect, it } from 'vitest'
import { Cache, type CacheOptions } from '../../src/index.js'
import { engines, thrown } from '../support/engines.js'

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
