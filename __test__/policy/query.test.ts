import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { canonicalize } from '../../src/policy/canonical.js'
import { tagOf, tagsOf as tagsOfAsked } from '../../src/policy/invalidation.js'
import { keyOf as keyOfAsked } from '../../src/policy/key.js'
import { type PolicyQuery, readQuery } from '../../src/policy/query.js'
import { thrown } from '../support/engines.js'

const keyOf = (query: PolicyQuery, revision = '1') => keyOfAsked(revision, readQuery(query))
const tagsOf = (query: PolicyQuery) => tagsOfAsked(readQuery(query))

describe('canonicalize', () => {
  it('writes the examples of RFC 8785', () => {
    // Section 3.2.2 and 3.2.3.
    const input = {
      numbers: [Number('333333333.33333329'), 1e30, 4.5, 2e-3, 0.000000000000000000000000001],
      string: '\u20ac$\u000F\u000aA\'\u0042\u0022\u005c\\"/',
      literals: [null, true, false],
    }
    expect(canonicalize(input)).toBe(
      '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],' +
        '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
    )
    const order = {
      '\u20ac': 'Euro',
      '\r': 'CR',
      '\ufb33': 'Dalet',
      '1': 'One',
      '\u{1f600}': 'Smile',
      '\u0080': 'Control',
      ö: 'O',
    }
    expect(canonicalize(order)).toBe(
      '{"\\r":"CR","1":"One","\u0080":"Control","ö":"O","€":"Euro","\u{1f600}":"Smile","\ufb33":"Dalet"}',
    )
    expect(canonicalize(-0)).toBe('0')
    expect(canonicalize([])).toBe('[]')
    expect(canonicalize({})).toBe('{}')
  })

  it('is the same for equal JSON and different for different JSON', () => {
    fc.assert(
      fc.property(
        fc.jsonValue({ noUnicodeString: false }),
        fc.jsonValue({ noUnicodeString: false }),
        (a, b) => {
          const shuffle = (value: unknown): unknown =>
            Array.isArray(value)
              ? value.map(shuffle)
              : typeof value === 'object' && value !== null
                ? Object.fromEntries(
                    Object.entries(value)
                      .reverse()
                      .map(([key, member]) => [key, shuffle(member)]),
                  )
                : value
          const text = canonicalize(a)
          expect(canonicalize(shuffle(a))).toBe(text)
          expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(a)))
          expect(text === canonicalize(b)).toBe(
            canonicalize(JSON.parse(text)) === canonicalize(JSON.parse(canonicalize(b))),
          )
        },
      ),
    )
  })

  const cycle: Record<string, unknown> = {}
  cycle.self = cycle
  let deep: unknown = 1
  for (let depth = 0; depth < 65; depth++) deep = [deep]

  it.each([
    ['undefined', undefined],
    ['an undefined in an array', [undefined]],
    ['a hole', new Array(2)],
    ['NaN', [Number.NaN]],
    ['Infinity', Infinity],
    ['a BigInt', 1n],
    ['a function', () => 1],
    ['a symbol', Symbol('s')],
    ['a symbol as a key', { [Symbol('s')]: 1 }],
    ['a Map', new Map()],
    ['a Date', new Date(0)],
    ['a class', new (class Role {})()],
    ['a lone surrogate', 'a\ud800'],
    ['a lone surrogate in a key', { 'a\udc00': 1 }],
    ['a cycle', cycle],
    ['65 levels', deep],
  ])('refuses %s', (_, value) => {
    expect(thrown(() => canonicalize(value))).toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' })
  })

  it('names the place', () => {
    expect(() => canonicalize({ roles: [{ since: new Date(0) }] })).toThrow('context.roles[0].since')
  })
})

describe('the key of a query', () => {
  const text = fc.oneof(
    fc.string({ minLength: 1, maxLength: 6 }),
    fc.constantFrom(
      'a',
      'b',
      'a:b',
      'a_b',
      'a/b',
      'a*',
      'a[b]',
      '1:a',
      '-',
      '+',
      '+a',
      '\0',
      '\ud800',
      '\udc00',
      'é',
      'e\u0301',
      '__proto__',
    ),
    fc.string({ unit: 'binary', minLength: 1, maxLength: 4 }),
  )
  const context = fc.oneof(
    fc.constant(undefined),
    fc.dictionary(
      fc.string({ maxLength: 3 }),
      fc.oneof(fc.integer(), fc.boolean(), fc.string({ maxLength: 3 }), fc.constant(null)),
    ),
    fc.constantFrom<unknown>(
      {},
      null,
      '',
      0,
      [],
      { a: 1 },
      { a: '1' },
      { b: 1, a: 2 },
      { a: 2, b: 1 },
      [1, 2],
      [[1], 2],
    ),
  )
  const query: fc.Arbitrary<PolicyQuery> = fc
    .record({
      user: text,
      action: text,
      resource: text,
      tenant: fc.option(text, { nil: undefined }),
      context,
    })
    .map(({ tenant, ...rest }) => (tenant === undefined ? rest : { ...rest, tenant }))

  /** What two queries must agree in to be the same. */
  const identity = ({ user, action, resource, tenant, context }: PolicyQuery) =>
    JSON.stringify([
      ...[user, action, resource, tenant ?? null].map(
        (part) => part && [...Array(part.length).keys()].map((at) => part.charCodeAt(at)),
      ),
      context === undefined ? 0 : [canonicalize(context)],
    ])

  it('is the same if and only if the query is', () => {
    fc.assert(
      fc.property(query, query, (a, b) => {
        expect(keyOf(a) === keyOf(b)).toBe(identity(a) === identity(b))
        expect(keyOf({ ...a })).toBe(keyOf(a))
      }),
      { numRuns: 2_000 },
    )
  })

  it('does not confuse parts that run into each other', () => {
    const triples = [
      ['a', 'b', 'c:d'],
      ['a', 'b:c', 'd'],
      ['a:b', 'c', 'd'],
      ['a_b', 'c', 'd'],
      ['a/b', 'c', 'd'],
      ['ab', 'c', 'd'],
      ['a', 'bc', 'd'],
      ['1:a', 'c', 'd'],
      ['a', '1:c', 'd'],
      ['\ud800', 'c', 'd'],
      ['\udc00', 'c', 'd'],
    ]
    const keys = triples.map(([user = '', action = '', resource = '']) => keyOf({ user, action, resource }))
    expect(new Set(keys).size).toBe(triples.length)
    const long = keyOf({ user: 'u'.repeat(200), action: 'a', resource: 'r' })
    expect(long).toMatch(/^#[\w-]{43}$/)
    expect(keyOf({ user: 'u'.repeat(201), action: 'a', resource: 'r' })).not.toBe(long)
  })

  it('depends on revision, tenant and sensitivity', () => {
    const base = { user: 'u', action: 'a', resource: 'r' }
    const keys = [
      keyOf(base),
      keyOf(base, '2'),
      keyOf(base, '11'),
      keyOf({ ...base, tenant: 't' }),
      keyOf({ ...base, tenant: '-' }),
      keyOf({ ...base, context: {} }),
      keyOf({ ...base, context: null }),
      keyOf({ ...base, context: '-' }),
      keyOf({ ...base, sensitivity: 'public' }),
      keyOf({ ...base, context: {}, sensitivity: 'public' }),
    ]
    expect(new Set(keys).size).toBe(keys.length)
  })
})

describe('the tags of a query', () => {
  const part = fc.constantFrom('a', 'b', 'a:b', '*', '-', '+a', '1:a', '\ud800')
  const withTenant = fc.record(
    { user: part, action: part, resource: part, tenant: part },
    {
      requiredKeys: ['user', 'action', 'resource'],
    },
  )

  it('match an invalidation if it names parts that the query has, and but for tenants only then', () => {
    const invalidation = fc
      .record({ user: part, action: part, resource: part, tenant: part }, { requiredKeys: [] })
      .filter((named) => Object.keys(named).length > 0)
    fc.assert(
      fc.property(withTenant, invalidation, (asked, named) => {
        const { tenant, ...parts } = named
        const has = (names: object) =>
          Object.entries(names).every(([name, value]) => asked[name as 'user'] === value)
        const isGone = tagsOf(asked).includes(tagOf(named) as string)
        if (has(named)) expect(isGone).toBe(true)
        // Several parts are taken in every tenant; one, or none, in the tenant that is named.
        const isExact = tenant === undefined || Object.keys(parts).length < 2
        if (!(isExact ? has(named) : has(parts))) expect(isGone).toBe(false)
      }),
      { numRuns: 5_000 },
    )
  })

  it('reach every tenant unless one is named', () => {
    const asked = { user: 'u', action: 'a', resource: 'r' }
    const tag = tagOf({ user: 'u' }) as string
    expect(tagsOf(asked)).toContain(tag)
    expect(tagsOf({ ...asked, tenant: 't' })).toContain(tag)
    expect(tagsOf(asked)).not.toContain(tagOf({ user: 'u', tenant: 't' }))
    expect(tagsOf({ ...asked, tenant: 't' })).toContain(tagOf({ tenant: 't' }))
    expect(tagsOf({ ...asked, tenant: 's' })).not.toContain(tagOf({ tenant: 't' }))
    expect(tagOf({ all: true })).toBeUndefined()
  })

  it.each([
    [{}],
    [{ all: true, tenant: 't' }],
    [{ tenant: 5 }],
    [[]],
    [{ all: false }],
    [{ all: true, user: 'u' }],
    [{ user: '' }],
    [{ user: 5 }],
    [{ user: 'u', tenant: '' }],
    [{ users: 'u' }],
    [null],
    ['u'],
  ])('refuse the invalidation %j', (what) => {
    expect(thrown(() => tagOf(what as never))).toMatchObject({ code: expect.stringMatching(/^ERR_/) })
  })
})
