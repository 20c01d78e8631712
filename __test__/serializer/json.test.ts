import vm from 'node:vm'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Cache } from '../../src/index.js'
import { engines, thrown } from '../support/engines.js'

class User {
  readonly id: number
  readonly roles = ['a']
  constructor(id: number) {
    this.id = id
  }
}

describe.each(engines)('JSON on the %s engine', (engine) => {
  it.each([
    ['bytes inside', { b: new Uint8Array(1) }, 'b', "'v8'"],
    ['a Buffer inside', { a: [Buffer.from('x')] }, 'a[0]', "'v8'"],
    ['a Map inside', { a: { m: new Map() } }, 'a.m', "'v8'"],
    ['a Set in a list', [1, [new Set()]], '[1][0]', "'v8'"],
    ['a Date inside', { at: new Date(0) }, 'at', "'v8'"],
    ['a RegExp', { r: /a/ }, 'r', ''],
    ['an Error', { e: new Error('x') }, 'e', ''],
    ['a Promise', { p: Promise.resolve(1) }, 'p', 'await it first'],
    ['a promise itself', Promise.resolve(1), '', 'await it first'],
    ['a function', { f: () => 1 }, 'f', ''],
    ['a symbol', { s: Symbol('s') }, 's', ''],
    ['NaN', { n: [Number.NaN] }, 'n[0]', "'v8'"],
    ['Infinity', { n: Infinity }, 'n', "'v8'"],
    ['undefined in a list', [undefined], '[0]', ''],
    ['a hole', new Array(1), '[0]', ''],
    ['a boxed number', { n: Object(1) }, 'n', ''],
    ['a BigInt', { a: { n: 1n } }, 'a.n', "'v8'"],
    ['what has a toJSON', { u: new URL('https://example.org/') }, 'u', 'lenient'],
    ['an instance of a class of another realm', { d: vm.runInNewContext('new Date(0)') }, 'd', "'v8'"],
  ])('refuses %s, with its place', (_, value, place, advice) => {
    using cache = new Cache<unknown>({ engine })
    cache.set('k', 'before')
    const error = thrown(() => cache.set('k', value))
    expect(error).toMatchObject({ name: 'TypeError', code: 'ERR_CACHE_NOT_SERIALIZABLE' })
    if (place !== '') expect(error.message).toContain(`at ${place}`)
    expect(error.message).toContain(advice)
    if (advice !== "'v8'") expect(error.message).not.toContain("serializer: 'v8'")
    expect(cache.get('k')).toBe('before')
    expect(thrown(() => cache.setMany([{ key: 'k', value }]))).toMatchObject({ code: error.code })
  })

  it('stores what JSON.stringify makes of it where it is told to', () => {
    using cache = new Cache<unknown>({ engine, json: 'lenient' })
    for (const value of [
      { at: new Date(0), m: new Map(), f: () => 1, n: Number.NaN },
      [undefined],
      { b: new Uint8Array(1) },
    ]) {
      cache.set('k', value)
      expect(cache.get('k')).toEqual(JSON.parse(JSON.stringify(value)))
    }
    for (const value of [new Map(), Number.NaN, 1n, undefined, () => 1, new Float64Array(1)]) {
      expect(thrown(() => cache.set('k', value))).toMatchObject({ code: 'ERR_CACHE_NOT_SERIALIZABLE' })
    }
  })

  it('takes the fields of objects of a class, of other realms, and without a prototype', () => {
    using cache = new Cache<unknown>({ engine })
    cache.set('k', { user: new User(1), nothing: undefined })
    expect(cache.get('k')).toEqual({ user: { id: 1, roles: ['a'] } })
    cache.set('k', vm.runInNewContext('({ a: [1, { b: null }] })'))
    expect(cache.get('k')).toEqual({ a: [1, { b: null }] })
    cache.set('k', Object.assign(Object.create(null), { a: 1 }))
    expect(cache.get('k')).toEqual({ a: 1 })
  })

  it('gives back what it took, whatever JSON value it is', () => {
    using cache = new Cache<unknown>({ engine })
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        cache.set('k', value)
        expect(cache.get('k')).toEqual(JSON.parse(JSON.stringify(value)))
      }),
    )
  })

  it('gives back what it took, or refuses it: anything at all', () => {
    using cache = new Cache<unknown>({ engine })
    const anything = fc.anything({
      withBigInt: true,
      withDate: true,
      withMap: true,
      withSet: true,
      withTypedArray: true,
      withNullPrototype: true,
      withBoxedValues: true,
      withSparseArray: true,
    })
    let kept = 0
    fc.assert(
      fc.property(anything, (value) => {
        try {
          cache.set('k', value)
        } catch (error) {
          expect(error).toMatchObject({ code: 'ERR_CACHE_NOT_SERIALIZABLE' })
          return
        }
        kept++
        // toEqual takes a field that is undefined, and -0, as JSON does.
        const found = cache.get('k')
        if (value instanceof Uint8Array) expect(found).toEqual(new Uint8Array(value))
        else expect(JSON.stringify(found)).toBe(JSON.stringify(value))
      }),
      { numRuns: 5_000 },
    )
    expect(kept).toBeGreaterThan(100)
  })

  it('does not fall for values that are hostile', () => {
    using cache = new Cache<unknown>({ engine })
    const revoked = Proxy.revocable({}, {})
    revoked.revoke()
    const cycle: { self?: unknown } = {}
    cycle.self = cycle
    let deep: unknown = 1
    for (let depth = 0; depth < 100_000; depth++) deep = [deep]
    for (const value of [
      revoked.proxy,
      { a: revoked.proxy },
      cycle,
      deep,
      {
        get a() {
          throw new Error('mine')
        },
      },
      { toJSON: 1n },
      { a: { constructor: null, x: () => 1 } },
    ]) {
      expect(thrown(() => cache.set('k', value))).toMatchObject({ code: 'ERR_CACHE_NOT_SERIALIZABLE' })
    }
    expect(cache.size).toBe(0)
  })

  it('finds the place of what it refuses in one walk', () => {
    using cache = new Cache<unknown>({ engine })
    let reads = 0
    const innermost = {
      get counted() {
        reads++
        return 1
      },
      bent: Number.NaN,
    }
    let value: unknown = innermost
    for (let depth = 0; depth < 1_000; depth++) value = { inner: value }
    expect(thrown(() => cache.set('k', value))).toMatchObject({ code: 'ERR_CACHE_NOT_SERIALIZABLE' })
    expect(reads).toBeLessThan(5)
  })

  it('stores an object of a class that has no fields only if it is told to', () => {
    class Options {}
    using strict = new Cache<unknown>({ engine })
    const error = thrown(() => strict.set('k', { options: new Options() }))
    expect(error.message).toContain(
      "an instance of Options at options without fields of its own; json: 'lenient'",
    )
    using lenient = new Cache<unknown>({ engine, json: 'lenient' })
    expect([lenient.set('k', new Options()), lenient.get('k')]).toEqual([true, {}])
  })
})
