import { afterEach, describe, expect, it } from 'vitest'
import { Cache, type Decision, PolicyCache, type PolicyCacheOptions } from '../../src/index.js'
import { engines, thrown, uniqueName } from '../support/engines.js'

const asked = { user: 'alice', action: 'read', resource: 'doc:1' }
const allow: Decision = { allowed: true }

describe.each(engines)('decisions on the %s engine', (engine) => {
  const open = (options: PolicyCacheOptions<Decision> = {}) => new PolicyCache({ engine, ...options })

  afterEach(() => {
    // biome-ignore lint/suspicious/noExplicitAny: the test pollutes what has no such field
    delete (Object.prototype as any).allowed
  })

  it.each([
    [
      'an accessor that JSON does not write',
      new (class {
        get allowed() {
          return true
        }
        readonly why = 'x'
      })(),
    ],
    ['a field that is not enumerable', Object.defineProperty({ why: 'x' }, 'allowed', { value: true })],
    ['an inherited field', Object.create({ allowed: true })],
    ['text', 'true'],
    ['a list', [true]],
    ['nothing', { why: 'x' }],
  ])('are checked as they are stored: %s is none', async (_, decision) => {
    using decisions = open()
    for (const call of [
      decisions.decide(asked, { evaluate: () => decision as never }),
      decisions.set(asked, decision as never),
      decisions.setMany([{ query: asked, decision: decision as never }]),
    ]) {
      await expect(call).rejects.toMatchObject({ code: expect.stringMatching(/^ERR_/) })
    }
    expect(await decisions.size()).toBe(0)
  })

  it('do not turn from a denial to an allow by toJSON', async () => {
    const denial = { allowed: false, toJSON: () => ({ allowed: true }) }
    using strict = open()
    await expect(strict.set(asked, denial)).rejects.toMatchObject({ code: 'ERR_CACHE_NOT_SERIALIZABLE' })
    await expect(strict.decide(asked, { evaluate: () => denial })).rejects.toMatchObject({
      code: 'ERR_CACHE_NOT_SERIALIZABLE',
    })
    // Lenient, its JSON is what counts: for the answer, the TTL and everyone after.
    using lenient = open({ json: 'lenient' })
    const odd = { allowed: true, toJSON: () => ({ allowed: false }) }
    expect(await lenient.decide(asked, { evaluate: () => odd })).toEqual({ allowed: false })
    expect(await lenient.get(asked)).toEqual({ allowed: false })
  })

  it('have a field of their own, whatever Object.prototype was given', async () => {
    using decisions = open()
    // biome-ignore lint/suspicious/noExplicitAny: as above
    ;(Object.prototype as any).allowed = true
    await expect(decisions.decide(asked, { evaluate: () => ({}) as never })).rejects.toMatchObject({
      code: 'ERR_INVALID_ARG_TYPE',
    })
    await expect(decisions.set(asked, {} as never)).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' })
    expect(await decisions.size()).toBe(0)
  })

  it('of a user are gone in every tenant when no tenant is named', async () => {
    using decisions = open()
    const queries = [asked, { ...asked, tenant: 's' }, { ...asked, tenant: 't' }, { ...asked, user: 'bob' }]
    const fill = () => decisions.setMany(queries.map((query) => ({ query, decision: allow })))
    const left = async () => (await decisions.getMany(queries)).map((decision) => decision !== undefined)
    await fill()
    await decisions.invalidate({ user: 'alice' })
    expect(await left()).toEqual([false, false, false, true])
    await fill()
    await decisions.invalidate({ user: 'alice', tenant: 's' })
    expect(await left()).toEqual([true, false, true, true])
    await fill()
    await decisions.invalidate({ tenant: 't' })
    expect(await left()).toEqual([true, true, false, true])
    await fill()
    await decisions.invalidate({ user: 'alice', resource: 'doc:1', tenant: 's' })
    const [, inTenant] = await left()
    expect(inTenant).toBe(false)
  })

  it('of two namespaces, and of a Cache of the same name, have nothing in common', async () => {
    const name = uniqueName()
    using one = open({ name, namespace: 'one' })
    using two = open({ name, namespace: 'two' })
    using oneAgain = open({ name, namespace: 'one' })
    using other = new Cache<unknown>({ name, engine })
    await one.set(asked, allow)
    await two.set(asked, allow)
    expect([await one.size(), await two.size(), await oneAgain.size(), other.size]).toEqual([1, 1, 1, 0])
    for (const empty of [() => one.clear(), () => oneAgain.invalidate({ all: true })]) {
      await one.set(asked, allow)
      await empty()
      expect(await one.get(asked)).toBeUndefined()
      expect(await two.get(asked)).toEqual(allow)
    }
    other.set('garbage', 'garbage')
    expect([...other.keys()]).toEqual(['garbage'])
    other.clear()
    expect(await two.get(asked)).toEqual(allow)
    // Whatever the names are.
    using odd = open({ name: 'x', namespace: 'y1:z' })
    using odder = open({ name: '1:zx', namespace: 'y' })
    await odd.set(asked, allow)
    expect(await odder.size()).toBe(0)
  })

  it('live as long, and under the names, that their evaluation says', async () => {
    using decisions = open({ denyTtl: 1 })
    await decisions.decide(asked, {
      evaluate: (_, context) => {
        context.tags = ['group:staff', 'policy:7']
        context.ttl = 60_000
        return allow
      },
    })
    expect(await decisions.get(asked)).toEqual(allow)
    await decisions.invalidateTag('group:none')
    expect(await decisions.get(asked)).toEqual(allow)
    await decisions.invalidateTag('group:staff')
    expect(await decisions.get(asked)).toBeUndefined()
    const passing = await decisions.decide(asked, {
      evaluate: (_, context) => {
        context.store = false
        return allow
      },
    })
    expect(passing).toEqual(allow)
    expect(await decisions.size()).toBe(0)
    await decisions.set(asked, allow, { tags: ['a'] })
    await decisions.invalidateTag('a')
    expect(await decisions.get(asked)).toBeUndefined()
    // No tag of a caller's is one of a query.
    await decisions.set(asked, allow)
    await decisions.invalidateTag('=-5:alice--')
    expect(await decisions.get(asked)).toEqual(allow)
    for (const wrong of [{ ttl: -1 }, { ttl: '5' }, { tags: 5 }, { tags: [''] }, { store: 1 }]) {
      await expect(
        decisions.decide(asked, {
          freshness: 'bypass',
          evaluate: (_, context) => {
            Object.assign(context, wrong)
            return allow
          },
        }),
      ).rejects.toMatchObject({ code: expect.stringMatching(/^ERR_(INVALID_ARG_TYPE|OUT_OF_RANGE)$/) })
    }
  })

  it('name what was asked in the error of a time-out', async () => {
    using decisions = open({ hardTimeout: 5 })
    const error = await decisions.decide(asked, { evaluate: () => new Promise(() => {}) }).catch((e) => e)
    expect(error).toMatchObject({ code: 'ERR_CACHE_LOAD_TIMEOUT' })
    expect(error.message).toContain('"alice", "read", "doc:1"')
    expect(error.message).toContain('hardTimeout of 5 ms')
    await expect(
      decisions.decide(asked, { evaluate: () => new Promise(() => {}), timeout: 1 }),
    ).rejects.toThrow('timeout of 1 ms')
    expect(thrown(() => open({ timeout: -1 }))).toMatchObject({ code: 'ERR_OUT_OF_RANGE' })
  })

  it('are another one for another sensitivity, which the evaluation sees', async () => {
    using decisions = open({ evaluate: ({ sensitivity }) => ({ allowed: sensitivity === 'public' }) })
    expect(await decisions.decide({ ...asked, sensitivity: 'public' })).toEqual({ allowed: true })
    expect(await decisions.decide({ ...asked, sensitivity: 'critical' })).toEqual({ allowed: false })
    await expect(decisions.get({ ...asked, sensitivity: { deep: 1 } as never })).rejects.toMatchObject({
      code: 'ERR_INVALID_ARG_TYPE',
    })
  })
})
