import { describe, expect, it, vi } from 'vitest'
import { internals } from '../../src/common/internals.js'
import {
  type Decision,
  type LoadStatus,
  PolicyCache,
  type PolicyCacheOptions,
  type PolicyQuery,
} from '../../src/index.js'
import { engines, sleep, thrown, uniqueName } from '../support/engines.js'

const allow: Decision = { allowed: true }
const deny: Decision = { allowed: false }

function query(
  user = 'alice',
  action = 'read',
  resource = 'doc:1',
  more: Partial<PolicyQuery> = {},
): PolicyQuery {
  return { user, action, resource, ...more }
}

describe.each(engines)('PolicyCache on the %s engine', (engine) => {
  const open = (options: PolicyCacheOptions<Decision> = {}) =>
    new PolicyCache<Decision>({ engine, ...options })

  it('gives back the decision for an equal query and no other', async () => {
    using decisions = open()
    const asked = query('alice', 'read', 'doc:1', { context: { roles: ['a'], team: 't', level: 1 } })
    expect(await decisions.get(asked)).toBeUndefined()
    expect(await decisions.set(asked, { allowed: true, reason: 'owner' } as Decision)).toBe(true)
    expect(await decisions.get({ ...asked, context: { level: 1, team: 't', roles: ['a'] } })).toEqual({
      allowed: true,
      reason: 'owner',
    })
    for (const other of [
      query('alice:read', 'doc', '1'),
      { ...asked, user: 'bob' },
      { ...asked, action: 'write' },
      { ...asked, resource: 'doc_1' },
      { ...asked, tenant: 't' },
      { ...asked, context: { roles: ['b'], team: 't', level: 1 } },
      { ...asked, context: { roles: ['a'], team: 't', level: '1' } },
      { ...asked, context: { roles: ['a'], team: 't' } },
      query(),
    ]) {
      expect(await decisions.get(other)).toBeUndefined()
    }
    expect(await decisions.size()).toBe(1)
    expect(await decisions.delete(asked)).toBe(true)
    expect(await decisions.delete(asked)).toBe(false)
  })

  it('keeps namespaces and revisions apart', async () => {
    const name = uniqueName()
    using one = open({ name, namespace: 'one' })
    using two = open({ name, namespace: 'two' })
    using revised = open({ name, namespace: 'one', policyRevision: '2' })
    await one.set(query(), allow)
    expect(await two.get(query())).toBeUndefined()
    expect(await revised.get(query())).toBeUndefined()
    await two.set(query(), deny)
    await one.invalidate({ user: 'alice' })
    expect(await one.get(query())).toBeUndefined()
    expect(await two.get(query())).toEqual(deny)
  })

  it.each([
    ['critical', 60_000],
    ['confidential', 120_000],
    ['internal', 180_000],
    ['public', 300_000],
    ['secret', 60_000],
    [undefined, 60_000],
    ['__proto__', 60_000],
  ])('keeps a decision of sensitivity %s for %d ms', async (sensitivity, ttl) => {
    using decisions = open()
    const store = decisions[internals].engine
    const asked = query('alice', 'read', 'doc:1', { sensitivity: sensitivity as never })
    const left = () => store.remainingTtl([...store.keys()][0] as string)
    await decisions.set(asked, allow)
    expect(left()).toBeGreaterThan(ttl - 1_000)
    expect(left()).toBeLessThanOrEqual(ttl)
    await decisions.decide(asked, { evaluate: () => allow })
    expect(store.size()).toBe(1)
    await decisions.set(asked, deny)
    expect(left()).toBeGreaterThan(29_000)
    expect(left()).toBeLessThanOrEqual(30_000)
    await decisions.clear()
    await decisions.decide(asked, { evaluate: () => allow })
    expect(left()).toBeGreaterThan(ttl - 1_000)
    expect(left()).toBeLessThanOrEqual(ttl)
  })

  it('does not store with a TTL of 0, and takes other TTLs', async () => {
    using decisions = open({ ttl: { public: 0, internal: 10 }, denyTtl: 5 })
    expect(await decisions.set(query('a', 'b', 'c', { sensitivity: 'public' }), allow)).toBe(false)
    expect(await decisions.set(query(), allow, { ttl: 0 })).toBe(false)
    expect(await decisions.size()).toBe(0)
    expect(await decisions.set(query(), allow, { ttl: 10 })).toBe(true)
    expect(await decisions.set(query('bob'), deny, { ttl: 10_000 })).toBe(true)
    await sleep(20)
    expect(await decisions.getMany([query(), query('bob')])).toEqual([undefined, undefined])
    expect(await decisions.cleanupExpired()).toBe(0)
    expect(await decisions.set(query(), allow, { ttl: Infinity })).toBe(true)
    expect(await decisions.get(query())).toEqual(allow)
    expect(thrown(() => open({ ttl: { secret: 5 } as never }))).toMatchObject({
      code: 'ERR_CACHE_UNKNOWN_OPTION',
    })
    expect(thrown(() => open({ ttl: { public: -1 } }))).toMatchObject({ code: 'ERR_OUT_OF_RANGE' })
    expect(thrown(() => open({ denyTtl: Number.NaN }))).toMatchObject({ code: 'ERR_OUT_OF_RANGE' })
  })

  it('decides once for equal queries', async () => {
    const evaluate = vi.fn(async (asked: PolicyQuery) => ({ allowed: asked.user === 'alice' }))
    using decisions = open({ evaluate })
    const answers = await Promise.all(
      [query(), query(), query('bob'), query()].map((asked) => decisions.decide(asked)),
    )
    expect(answers.map(({ allowed }) => allowed)).toEqual([true, true, false, true])
    expect(evaluate).toHaveBeenCalledTimes(2)
    expect(await decisions.decide(query())).toEqual(allow)
    expect(evaluate).toHaveBeenCalledTimes(2)
    expect(evaluate.mock.calls[0]?.[0]).toEqual(query())
    expect(decisions.getMetrics()).toMatchObject({ hits: 1, misses: 4, evaluations: 2, sets: 2, errors: 0 })
  })

  it('lets the error of an evaluation through, and stores nothing', async () => {
    const broken = new Error('the policy store is down')
    using decisions = open({
      evaluate: async () => {
        throw broken
      },
      hardTimeout: 20,
    })
    await expect(decisions.decide(query())).rejects.toBe(broken)
    for (const wrong of [undefined, null, true, {}, { allowed: 'yes' }, { allow: true }]) {
      await expect(decisions.decide(query(), { evaluate: () => wrong as never })).rejects.toThrow(TypeError)
    }
    await expect(decisions.decide(query(), { evaluate: () => new Promise(() => {}) })).rejects.toMatchObject({
      code: 'ERR_CACHE_LOAD_TIMEOUT',
    })
    expect(await decisions.size()).toBe(0)
    expect(await decisions.decide(query(), { evaluate: () => allow })).toEqual(allow)
    expect(decisions.getMetrics().errors).toBe(8)
    await expect(open().decide(query())).rejects.toThrow('evaluate')
  })

  it('never serves a decision that was evaluated before an invalidation', async () => {
    using decisions = open()
    let truth = allow
    let release = () => {}
    const slow = async () => {
      const seen = truth
      await new Promise<void>((resolve) => {
        release = resolve
      })
      return seen
    }
    const pending = decisions.decide(query(), { evaluate: slow })
    truth = deny
    await decisions.invalidate({ user: 'alice' })
    expect(await decisions.decide(query(), { evaluate: async () => truth })).toEqual(deny)
    release()
    expect(await pending).toEqual(deny)
    expect(await decisions.get(query())).toEqual(deny)
    expect(decisions.getMetrics()).toMatchObject({ invalidations: 1 })
  })

  it('refuses to store what was decided before an invalidation', async () => {
    using decisions = open()
    const fence = decisions.fence()
    await decisions.invalidate({ resource: 'doc:1' })
    expect(await decisions.set(query(), allow, { fence })).toBe(false)
    expect(await decisions.set(query(), allow, { fence: decisions.fence() })).toBe(true)
  })

  it('invalidates exactly what is named', async () => {
    using decisions = open()
    const names = ['a', 'a*', '*', 'a:b', '\ud800']
    const queries = names.flatMap((user) =>
      names.flatMap((action) => names.map((resource) => query(user, action, resource))),
    )
    const fill = () => decisions.setMany(queries.map((asked) => ({ query: asked, decision: allow })))
    const cases: [object, (asked: PolicyQuery) => boolean][] = [
      [{ user: 'a*' }, ({ user }) => user === 'a*'],
      [{ action: '*' }, ({ action }) => action === '*'],
      [{ resource: 'a:b' }, ({ resource }) => resource === 'a:b'],
      [{ user: 'a', resource: '\ud800' }, ({ user, resource }) => user === 'a' && resource === '\ud800'],
      [{ user: 'a', action: 'a' }, ({ user, action }) => user === 'a' && action === 'a'],
      [{ action: 'a', resource: 'a' }, ({ action, resource }) => action === 'a' && resource === 'a'],
      [
        { user: 'a', action: '*', resource: 'a*' },
        (q) => q.user === 'a' && q.action === '*' && q.resource === 'a*',
      ],
      [{ user: 'nobody' }, () => false],
      [{ user: 'a', tenant: 't' }, () => false],
      [{ all: true }, () => true],
    ]
    for (const [what, isGone] of cases) {
      expect(await fill()).toEqual(queries.map(() => true))
      await decisions.invalidate(what as never)
      const left = await decisions.getMany(queries)
      for (const [at, asked] of queries.entries()) {
        // A version stripe shared by chance may cost a miss, but what was named is always gone.
        if (isGone(asked)) expect(left[at]).toBeUndefined()
      }
      const lost = left.filter(
        (decision, at) => decision === undefined && !isGone(queries[at] as PolicyQuery),
      )
      expect(lost.length).toBeLessThan(queries.length / 5)
    }
    await expect(decisions.invalidate({})).rejects.toThrow('all: true')
  })

  it('evaluates whatever is cached where it is told to, and stores the result', async () => {
    using decisions = open()
    await decisions.set(query(), allow)
    const evaluate = vi.fn(async () => deny)
    expect(await decisions.decide(query(), { evaluate })).toEqual(allow)
    expect(await decisions.decide(query(), { evaluate, freshness: 'bypass' })).toEqual(deny)
    expect(await decisions.decide(query(), { evaluate })).toEqual(deny)
    expect(evaluate).toHaveBeenCalledTimes(1)
    // It waits for no evaluation that began before.
    let release = () => {}
    const slow = () =>
      new Promise<Decision>((resolve) => {
        release = () => resolve(allow)
      })
    const before = decisions.decide(query('bob'), { evaluate: slow })
    expect(await decisions.decide(query('bob'), { evaluate, freshness: 'bypass' })).toEqual(deny)
    release()
    expect(await before).toEqual(deny)
    await expect(decisions.decide(query(), { evaluate, freshness: 'new' as never })).rejects.toThrow(
      'freshness',
    )
  })

  it('serves no decision older than the revision that the caller has seen', async () => {
    using decisions = open()
    let revision = 1
    const evaluate = vi.fn(async () => ({ allowed: true, revision }))
    expect(await decisions.decide(query(), { evaluate })).toEqual({ allowed: true, revision: 1 })
    expect(await decisions.decide(query(), { evaluate, minRevision: 1 })).toMatchObject({ revision: 1 })
    expect(evaluate).toHaveBeenCalledTimes(1)
    revision = 2
    expect(await decisions.decide(query(), { evaluate })).toMatchObject({ revision: 1 })
    expect(await decisions.decide(query(), { evaluate, minRevision: 2 })).toMatchObject({ revision: 2 })
    expect(await decisions.decide(query(), { evaluate })).toMatchObject({ revision: 2 })
    expect(evaluate).toHaveBeenCalledTimes(2)
    expect(evaluate).toHaveBeenLastCalledWith(query(), {
      signal: expect.any(AbortSignal),
      minRevision: 2,
      ttl: undefined,
      tags: [],
      store: true,
    })
    await expect(decisions.decide(query(), { evaluate, minRevision: 3 })).rejects.toMatchObject({
      code: 'ERR_POLICY_REVISION',
    })
    await decisions.set(query('none'), allow)
    expect(await decisions.decide(query('none'), { evaluate, minRevision: 0 })).toMatchObject({ revision: 2 })
    await expect(decisions.decide(query(), { evaluate, minRevision: -1 })).rejects.toThrow(RangeError)
    await expect(decisions.set(query(), { allowed: true, revision: 'new' as never })).rejects.toThrow(
      TypeError,
    )
  })

  it('shares no evaluation with a caller that needs a newer revision', async () => {
    using decisions = open()
    let revision = 1
    const evaluate = async () => {
      const seen = revision
      await sleep(10)
      return { allowed: true, revision: seen }
    }
    const first = decisions.decide(query(), { evaluate })
    revision = 2
    const second = decisions.decide(query(), { evaluate, minRevision: 2 })
    expect(await second).toMatchObject({ revision: 2 })
    // What the first stored or was to store is not newer than what the second did.
    expect(await first).toMatchObject({ allowed: true })
    expect(await decisions.decide(query(), { evaluate, minRevision: 2 })).toMatchObject({ revision: 2 })
  })

  it('serves past the TTL only where its options say so, and tells', async () => {
    const evaluate = vi.fn(async (): Promise<Decision> => allow)
    const ttl = { critical: 5 }
    using strict = open({ evaluate, ttl })
    using lenient = open({ evaluate, ttl, staleIfError: 10_000 })
    for (const decisions of [strict, lenient]) await decisions.decide(query())
    await sleep(15)
    evaluate.mockRejectedValue(new Error('down'))
    await expect(strict.decide(query())).rejects.toThrow('down')
    const status: LoadStatus = {}
    expect(await lenient.decide(query(), { status })).toEqual(allow)
    expect(status).toMatchObject({ source: 'stale', error: { message: 'down' } })
    expect(lenient.getMetrics()).toMatchObject({ stale: 1, hits: 0, misses: 2, hitRate: 0.5, errors: 1 })
    await lenient.invalidate({ user: 'alice' })
    await expect(lenient.decide(query())).rejects.toThrow('down')
    expect(thrown(() => open({ staleIfError: -1 }))).toMatchObject({ code: 'ERR_OUT_OF_RANGE' })
    expect(thrown(() => open({ timeout: Number.NaN }))).toMatchObject({ code: 'ERR_OUT_OF_RANGE' })
  })

  it('evaluates ahead of the end of the TTL, with the query as it was', async () => {
    const evaluate = vi.fn(async (_: PolicyQuery): Promise<Decision> => allow)
    using decisions = open({ evaluate, ttl: { internal: 200 }, refreshAhead: 0.6 })
    const asked = query('alice', 'read', 'doc:1', { sensitivity: 'internal', context: { roles: ['a'] } })
    const status: LoadStatus = {}
    await decisions.decide(asked, { status })
    expect(status.source).toBe('load')
    await decisions.decide(asked, { status })
    expect(status.source).toBe('hit')
    expect(evaluate).toHaveBeenCalledTimes(1)
    await sleep(100)
    await decisions.decide(asked)
    await sleep(1)
    expect(evaluate).toHaveBeenCalledTimes(2)
    expect(evaluate.mock.calls.map(([given]) => given)).toEqual([asked, asked])
    expect(decisions.getMetrics()).toMatchObject({ refreshes: 1, sets: 2 })
    await sleep(120)
    expect(await decisions.get(asked)).toEqual(allow)
  })

  it('evaluates and stores what was asked, whatever becomes of the query object', async () => {
    using decisions = open()
    const asked = { user: 'mallory', action: 'read', resource: 'doc:1', context: { roles: ['guest'] } }
    const evaluate = async ({ user, context }: PolicyQuery) => {
      await sleep(2)
      return { allowed: user === 'root' || (context as { roles: string[] }).roles.includes('admin') }
    }
    const slow = async (given: PolicyQuery) => {
      await sleep(2)
      return evaluate(given)
    }
    const deciding = decisions.decide(asked, { evaluate: slow })
    asked.user = 'root'
    asked.context.roles.push('admin')
    expect(await deciding).toEqual(deny)
    expect(await decisions.get({ ...asked, user: 'mallory', context: { roles: ['guest'] } })).toEqual(deny)
    expect(await decisions.get(asked)).toBeUndefined()
  })

  it('does not hang when a bypass fails beside an evaluation under way', async () => {
    using decisions = open()
    let release = () => {}
    const slow = () =>
      new Promise<Decision>((resolve) => {
        release = () => resolve(allow)
      })
    const first = decisions.decide(query(), { evaluate: slow })
    const bypass = decisions.decide(query(), {
      evaluate: () => Promise.reject(new Error('down')),
      freshness: 'bypass',
    })
    await expect(bypass).rejects.toThrow('down')
    const third = decisions.decide(query(), { evaluate: () => deny })
    await sleep(5)
    release()
    expect([await first, await third]).toEqual([allow, allow])
  })

  it('begins no evaluation if one of the queries to preload is wrong', async () => {
    using decisions = open()
    const evaluate = vi.fn(async () => allow)
    await expect(
      decisions.preload([query(), query('b', 'c', 'd', { context: Number.NaN })], evaluate),
    ).rejects.toThrow('NaN')
    expect(evaluate).not.toHaveBeenCalled()
  })

  it('preloads what is missing', async () => {
    using decisions = open()
    await decisions.set(query('user 0'), allow)
    const queries = Array.from({ length: 50 }, (_, at) => query(`user ${at}`))
    let running = 0
    let most = 0
    const result = await decisions.preload(queries, async ({ user }) => {
      most = Math.max(most, ++running)
      await sleep(1)
      running--
      if (user === 'user 7') throw new Error('no such user')
      return allow
    })
    expect(result).toMatchObject({ loaded: 48, present: 1, failed: [{ query: query('user 7') }] })
    expect(most).toBeGreaterThan(1)
    expect(most).toBeLessThanOrEqual(16)
    expect(await decisions.size()).toBe(49)
    await expect(decisions.preload('x' as never, () => allow)).rejects.toThrow(TypeError)
    await expect(decisions.preload([5 as never], () => allow)).rejects.toThrow(TypeError)
  })

  it('refuses what is no query and no decision, storing nothing', async () => {
    using decisions = open()
    for (const wrong of [
      null,
      'alice',
      {},
      { user: 'u', action: 'a' },
      { user: '', action: 'a', resource: 'r' },
      { user: 5, action: 'a', resource: 'r' },
      { user: 'u', action: 'a', resource: 'r', tenant: '' },
      // Passed over, it would be missing from the key.
      { user: 'u', action: 'a', resource: 'r', roles: ['admin'] },
      { user: 'u', action: 'a', resource: 'r', context: { since: new Date() } },
    ] as never[]) {
      await expect(decisions.get(wrong)).rejects.toThrow()
      await expect(decisions.set(wrong, allow)).rejects.toThrow()
      await expect(decisions.delete(wrong)).rejects.toThrow()
      await expect(decisions.getMany([query(), wrong])).rejects.toThrow()
      await expect(decisions.decide(wrong, { evaluate: () => allow })).rejects.toThrow()
    }
    for (const wrong of [null, true, {}, { allowed: 1 }] as never[]) {
      await expect(
        decisions.setMany([
          { query: query(), decision: allow },
          { query: query('b'), decision: wrong },
        ]),
      ).rejects.toThrow(TypeError)
    }
    await expect(decisions.setMany(5 as never)).rejects.toThrow(TypeError)
    await expect(decisions.getMany(5 as never)).rejects.toThrow(TypeError)
    await expect(decisions.set(query(), allow, { ttl: -1 })).rejects.toThrow(RangeError)
    expect(await decisions.size()).toBe(0)
  })

  it('measures, resets, and checks its health without a trace', async () => {
    using decisions = open({ max: 2 })
    await decisions.set(query('a'), allow)
    await decisions.set(query('b'), allow)
    await decisions.get(query('a'))
    await decisions.get(query('x'))
    const metrics = decisions.getMetrics()
    expect(metrics).toMatchObject({ hits: 1, misses: 1, hitRate: 0.5, sets: 2, stale: 0, refreshes: 0 })
    // Of 64 reads one is timed, beginning with the first.
    for (const [latency, samples] of [
      [metrics.getLatency, 1],
      [metrics.setLatency, 2],
    ] as const) {
      expect(latency.samples).toBe(samples)
      expect(latency.p50).toBeGreaterThan(0)
      expect(latency.p99).toBeGreaterThanOrEqual(latency.p50)
      expect(latency.max).toBeLessThan(1_000)
    }
    expect(metrics.evaluationLatency).toEqual({ samples: 0, p50: 0, p95: 0, p99: 0, max: 0 })
    expect(await decisions.healthCheck()).toMatchObject({ healthy: true, engine, size: 2, error: undefined })
    expect(decisions.getMetrics()).toEqual(metrics)
    // 'b' is still the oldest.
    await decisions.set(query('c'), allow)
    expect(await decisions.get(query('b'))).toBeUndefined()
    decisions.resetMetrics()
    expect(decisions.getMetrics()).toMatchObject({ hits: 0, misses: 0, hitRate: 0, sets: 0 })
    await decisions.clear()
    expect(await decisions.size()).toBe(0)
    decisions.close()
    expect(await decisions.healthCheck()).toMatchObject({
      healthy: false,
      error: { code: 'ERR_CACHE_CLOSED' },
    })
  })
})
