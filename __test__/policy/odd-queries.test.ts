import vm from 'node:vm'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Decision, PolicyCache, type PolicyQuery } from '../../src/index.js'
import { keyOf } from '../../src/policy/key.js'
import { evaluatedQuery, readQuery } from '../../src/policy/query.js'
import { engines } from '../support/engines.js'

const allow: Decision = { allowed: true }

class GetterQuery {
  readonly #user: string
  constructor(user: string) {
    this.#user = user
  }
  get user() {
    return this.#user
  }
  get action() {
    return 'read'
  }
  get resource() {
    return 'doc:1'
  }
}

const odd: [string, () => PolicyQuery][] = [
  ['a class with getters', () => new GetterQuery('alice')],
  [
    'inherited fields',
    () => Object.create({ user: 'alice', action: 'read', resource: 'doc:1' }) as PolicyQuery,
  ],
  [
    'fields that are not enumerable',
    () =>
      Object.defineProperties(
        {},
        { user: { value: 'alice' }, action: { value: 'read' }, resource: { value: 'doc:1' } },
      ) as PolicyQuery,
  ],
  ['a proxy', () => new Proxy({ user: 'alice', action: 'read', resource: 'doc:1' }, {})],
  [
    'another realm',
    () => vm.runInNewContext("({ user: 'alice', action: 'read', resource: 'doc:1' })") as PolicyQuery,
  ],
]

describe.each(engines)('a query of an unusual kind on the %s engine', (engine) => {
  it.each(odd)('%s is evaluated as it is keyed, and invalidated as it was asked', async (_, make) => {
    using decisions = new PolicyCache({ engine })
    const seen: PolicyQuery[] = []
    const evaluate = (query: PolicyQuery) => {
      seen.push(query)
      return allow
    }
    expect(await decisions.decide(make(), { evaluate })).toEqual(allow)
    expect(seen).toEqual([{ user: 'alice', action: 'read', resource: 'doc:1' }])
    expect(Object.isFrozen(seen[0])).toBe(true)
    const plain = { user: 'alice', action: 'read', resource: 'doc:1' }
    expect(await decisions.get(plain)).toEqual(allow)
    await decisions.invalidate({ user: 'alice' })
    expect(await decisions.get(make())).toBeUndefined()
    expect(await decisions.get(plain)).toBeUndefined()
  })

  it('has a tenant that it inherits', async () => {
    using decisions = new PolicyCache({ engine })
    const asked = Object.assign(Object.create({ tenant: 't' }), {
      user: 'alice',
      action: 'read',
      resource: 'doc:1',
    })
    await decisions.set(asked, allow)
    expect(await decisions.get({ user: 'alice', action: 'read', resource: 'doc:1' })).toBeUndefined()
    await decisions.invalidate({ tenant: 't' })
    expect(await decisions.get(asked)).toBeUndefined()
  })

  it('shows an evaluation of the context only what the key holds', async () => {
    using decisions = new PolicyCache({ engine })
    const contexts = [
      Object.assign(['staff'], { admin: true }),
      new (class extends Array<string> {})('staff'),
      /staff/.exec('staff'),
      ['staff'],
    ]
    const base = { user: 'alice', action: 'read', resource: 'doc:1' }
    const seen: unknown[] = []
    for (const context of contexts) {
      const evaluate = (query: PolicyQuery) => {
        seen.push(query.context)
        return { allowed: Boolean((query.context as { admin?: boolean }).admin) }
      }
      expect(await decisions.decide({ ...base, context }, { evaluate })).toEqual({ allowed: false })
    }
    expect(seen).toEqual([['staff']])
    expect(Object.keys(seen[0] as object)).toEqual(['0'])
    expect(Object.getPrototypeOf(seen[0])).toBe(Array.prototype)
  })

  it('reads each part once, whatever it says the second time', async () => {
    using decisions = new PolicyCache({ engine })
    let reads = 0
    const flips = {
      get user() {
        return reads++ === 0 ? 'alice' : 'root'
      },
      action: 'read',
      resource: 'doc:1',
      context: {
        get role() {
          return reads++ === 1 ? 'guest' : 'admin'
        },
      },
    }
    const seen: PolicyQuery[] = []
    await decisions.decide(flips, {
      evaluate: (query) => {
        seen.push(query)
        return allow
      },
    })
    expect(seen).toEqual([{ user: 'alice', action: 'read', resource: 'doc:1', context: { role: 'guest' } }])
    expect(reads).toBe(2)
  })

  it('takes what is undefined as not there, in key and evaluation', async () => {
    using decisions = new PolicyCache({ engine })
    const base = { user: 'alice', action: 'read', resource: 'doc:1' }
    await decisions.set({ ...base, context: {} }, allow)
    const evaluate = () => expect.unreachable() as never
    expect(await decisions.decide({ ...base, context: { org: undefined } }, { evaluate })).toEqual(allow)
    await decisions.set(base, allow)
    expect(await decisions.decide({ ...base, tenant: undefined, context: undefined }, { evaluate })).toEqual(
      allow,
    )
    const seen: PolicyQuery[] = []
    await decisions.decide(
      { ...base, tenant: undefined, context: { org: undefined, a: 1 } },
      {
        evaluate: (query) => {
          seen.push(query)
          return allow
        },
      },
    )
    expect(seen).toStrictEqual([{ ...base, context: { a: 1 } }])
  })

  it('takes a context of another realm, and freezes what comes back', async () => {
    using decisions = new PolicyCache({ engine })
    const asked = {
      user: 'alice',
      action: 'read',
      resource: 'doc:1',
      context: vm.runInNewContext("({ roles: ['a', { b: 1 }] })"),
    }
    const given = vm.runInNewContext('({ allowed: true, why: { by: [1] } })')
    const decision = await decisions.decide(asked, { evaluate: () => given })
    expect(Object.isFrozen(decision)).toBe(true)
    expect(await decisions.get({ ...asked, context: { roles: ['a', { b: 1 }] } })).toEqual(decision)
  })

  it('that throws when it is read is an error with a code', async () => {
    using decisions = new PolicyCache({ engine })
    const revoked = Proxy.revocable({}, {})
    revoked.revoke()
    for (const hostile of [
      revoked.proxy,
      { user: 'a', action: 'b', resource: 'c', context: revoked.proxy },
      {
        get user() {
          throw new Error('mine')
        },
      },
      [],
      ['user'],
    ] as never[]) {
      for (const call of [
        decisions.get(hostile),
        decisions.decide(hostile, { evaluate: () => allow }),
        decisions.set(hostile, allow),
        decisions.invalidate(hostile),
      ]) {
        await expect(call).rejects.toMatchObject({ code: expect.stringMatching(/^ERR_/) })
      }
    }
    expect(await decisions.size()).toBe(0)
  })
})

/** Ways to make an object of the same fields. */
const dressings: ((fields: Record<string, unknown>) => object)[] = [
  (fields) => ({ ...fields }),
  (fields) => Object.create(fields),
  (fields) => new Proxy({ ...fields }, {}),
  (fields) => Object.assign(Object.create(null), fields),
  (fields) => Object.assign(vm.runInContext('({})', realm), fields),
  (fields) => {
    const made = {}
    for (const [name, value] of Object.entries(fields)) {
      Object.defineProperty(made, name, { enumerable: false, get: () => value })
    }
    return made
  },
]

const realm = vm.createContext()

class List extends Array {}

/** Ways to dress a context so that JSON sees the same, or to differ where it does. */
const contextDressings: ((context: unknown) => unknown)[] = [
  (context) => context,
  (context) => (Array.isArray(context) ? Object.assign([...context], { extra: 'x' }) : context),
  (context) => (Array.isArray(context) ? List.from(context) : context),
  (context) => (typeof context === 'object' && context !== null ? new Proxy(context, {}) : context),
  (context) =>
    typeof context === 'object' && context !== null && !Array.isArray(context)
      ? { ...context, nothing: undefined }
      : context,
  (context) => (context === undefined ? undefined : vm.runInContext(`(${JSON.stringify(context)})`, realm)),
]

describe('of random queries', () => {
  const text = fc.constantFrom('a', 'b', '1:a', 'a1:b', '-', '+', '\ud800', 'é')
  const context = fc.oneof(
    fc.constant(undefined),
    fc.constantFrom<unknown>({}, [], null, [1], [1, 2], { a: 1 }, { a: [1] }, 'a', 0, -0, '0', {
      b: 1,
      a: 2,
    }),
  )
  const query = fc.record({
    fields: fc.record({
      user: text,
      action: text,
      resource: text,
      tenant: fc.option(text, { nil: undefined }),
      context,
    }),
    dressing: fc.nat({ max: dressings.length - 1 }),
    contextDressing: fc.nat({ max: contextDressings.length - 1 }),
  })

  it('equal keys mean equal evaluations, and the other way round', () => {
    const byKey = new Map<string, string>()
    const byEvaluation = new Map<string, string>()
    let compared = 0
    fc.assert(
      fc.property(query, ({ fields, dressing, contextDressing }) => {
        const dressed = contextDressings[contextDressing]?.(fields.context)
        const asked = readQuery(dressings[dressing]?.({ ...fields, context: dressed }) as PolicyQuery)
        const key = keyOf('0', asked)
        const evaluated = JSON.stringify(evaluatedQuery(asked))
        compared++
        expect(byKey.get(key) ?? evaluated).toBe(evaluated)
        expect(byEvaluation.get(evaluated) ?? key).toBe(key)
        byKey.set(key, evaluated)
        byEvaluation.set(evaluated, key)
      }),
      { numRuns: 100_000 },
    )
    expect(compared).toBeGreaterThanOrEqual(100_000)
    expect(byKey.size).toBeLessThan(compared / 2)
  })
})
