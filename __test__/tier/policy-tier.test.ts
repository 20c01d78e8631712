import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { available, startServer } from '../../scripts/servers.mjs'
import {
  type Decision,
  type LoadStatus,
  PolicyCache,
  type PolicyCacheOptions,
  type PolicyQuery,
} from '../../src/index.js'
import { encodeEntry } from '../../src/tier/envelope.js'
import { type RedisTierOptions, redisTier, TieredCache } from '../../src/tier/tier.js'
import { engines, sleep, thrown, uniqueName } from '../support/engines.js'
import type { Server } from '../support/redis.js'
import { clientOf, KIND, uniqueNamespace } from '../support/tiered.js'

const allow: Decision = { allowed: true }

function query(user = 'alice', more: Partial<PolicyQuery> = {}): PolicyQuery {
  return { user, action: 'read', resource: 'doc:1', ...more }
}

const isThere = available().some(({ kind }) => kind === KIND)

describe.skipIf(!isThere)(`decisions on ${KIND}${isThere ? '' : ', which is not available'}`, () => {
  let server: Server

  beforeAll(async () => {
    server = await startServer(KIND)
  })
  afterAll(() => server?.stop())

  const tierOf = (more: Partial<RedisTierOptions>) =>
    redisTier({ redis: clientOf(server), readTimeout: 2_000, writeTimeout: 5_000, ...more })

  describe.each(engines)('and the %s engine', (engine) => {
    /** Caches as so many processes have them. */
    async function open(
      options: PolicyCacheOptions<Decision> = {},
      { count = 2, namespace = uniqueNamespace() } = {},
    ): Promise<[one: PolicyCache, other: PolicyCache, namespace: string]> {
      const all = Array.from(
        { length: count },
        () => new PolicyCache<Decision>({ engine, tier: tierOf({ namespace }), ...options }),
      )
      onTestFinished(() => {
        for (const cache of all) cache.close()
      })
      await Promise.all(all.map((cache) => cache.ready(AbortSignal.timeout(10_000))))
      return [all[0], all[1], namespace] as [PolicyCache, PolicyCache, string]
    }

    /** What a cache finds, once others have stored it. Fills are not awaited. */
    const arrives = (cache: PolicyCache, asked: PolicyQuery, decision: unknown) =>
      vi.waitFor(async () => expect(await cache.get(asked)).toEqual(decision), { timeout: 10_000 })

    it('share one evaluation, and every invalidation', async () => {
      const evaluate = vi.fn(({ user }: PolicyQuery) => ({ allowed: user === 'alice', why: user }))
      const [one, other] = await open({ evaluate })
      const status: LoadStatus = {}
      expect(await one.decide(query(), { status })).toEqual({ allowed: true, why: 'alice' })
      expect(status.source).toBe('load')
      await arrives(other, query(), { allowed: true, why: 'alice' })
      expect(await other.decide(query(), { status })).toEqual({ allowed: true, why: 'alice' })
      expect(status.source).toBe('hit')
      expect(Object.isFrozen(await other.decide(query()))).toBe(true)
      expect(evaluate).toHaveBeenCalledTimes(1)

      await one.invalidate({ user: 'alice' })
      await vi.waitFor(() => expect(other.cached(query())).toBe(undefined), { timeout: 5_000, interval: 2 })
      expect(await other.get(query())).toBe(undefined)
      expect(await other.decide(query())).toEqual({ allowed: true, why: 'alice' })
      expect(evaluate).toHaveBeenCalledTimes(2)
    })

    it('come from Redis where this process has none', async () => {
      const evaluate = vi.fn(() => allow)
      const [one, other] = await open({ evaluate })
      await one.decide(query())
      await sleep(100)
      const status: LoadStatus = {}
      expect(await other.decide(query(), { status })).toEqual(allow)
      expect(status.source).toBe('remote')
      expect(await other.decideMany([query('bob'), query()])).toEqual([allow, allow])
      expect(await other.getMany([query(), query('carol'), query('bob')])).toEqual([allow, undefined, allow])
      await sleep(100)
      expect(await one.getMany([query('bob'), query('carol')])).toEqual([allow, undefined])
      expect(evaluate).toHaveBeenCalledTimes(2)
      // What Redis had is no evaluation.
      expect(other.getMetrics()).toMatchObject({ evaluations: 1, errors: 0 })
    })

    it('leave every process that is told to, by each part, a tag, one by one or all', async () => {
      const evaluate = (_: PolicyQuery, context: { tags: readonly string[] }) => {
        context.tags = ['group']
        return allow
      }
      const [one, other] = await open({ evaluate: evaluate as never })
      const asked = query('alice', { tenant: 't', context: { a: 1 } })
      for (const remove of [
        () => one.invalidate({ user: 'alice' }),
        () => one.invalidate({ action: 'read' }),
        () => one.invalidate({ resource: 'doc:1' }),
        () => one.invalidate({ tenant: 't' }),
        () => one.invalidate({ user: 'alice', resource: 'doc:1', tenant: 't' }),
        () => one.invalidate({ all: true }),
        () => one.invalidateTag('group'),
        () => one.clear(),
        async () => expect(await one.delete(asked)).toBe(true),
      ]) {
        await one.decide(asked)
        await arrives(other, asked, allow)
        await one.invalidate({ user: 'nobody' })
        expect(await other.get(asked)).toEqual(allow)
        await one.get(asked)
        await remove()
        expect(one.cached(asked)).toBe(undefined)
        await vi.waitFor(() => expect(other.cached(asked)).toBe(undefined), { timeout: 5_000, interval: 2 })
        expect(await other.get(asked)).toBe(undefined)
      }
    })

    it('are stored by set, as a change or after a fence', async () => {
      const [one, other] = await open()
      expect(await one.set(query(), { allowed: false })).toBe(true)
      await arrives(other, query(), { allowed: false })
      const fence = one.fence()
      expect(typeof fence).toBe('object')
      await one.invalidate({ user: 'bob' })
      expect(await one.set(query('bob'), allow, { fence })).toBe(false)
      expect(
        await one.setMany([
          { query: query('c'), decision: allow, fence: one.fence() },
          { query: query('d'), decision: allow },
        ]),
      ).toEqual([true, true])
      await arrives(other, query('c'), allow)
      await arrives(other, query('d'), allow)
      const wrong = [5, {}, other, other.fence()]
      for (const each of wrong) {
        const entries = [
          { query: query('e'), decision: allow },
          { query: query('f'), decision: allow, fence: each as never },
        ]
        await expect(one.setMany(entries)).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' })
        await expect(one.set(query('e'), allow, { fence: each as never })).rejects.toMatchObject({
          code: 'ERR_INVALID_ARG_TYPE',
        })
      }
      expect(await one.get(query('e'))).toBe(undefined)
      using plain = new PolicyCache({ engine })
      const entries = [
        { query: query('e'), decision: allow },
        { query: query('f'), decision: allow, fence },
      ]
      await expect(plain.setMany(entries)).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' })
      expect(await plain.size()).toBe(0)
    })

    it('are never made of what somebody put into Redis', async () => {
      const [one, other, namespace] = await open({ evaluate: () => ({ allowed: false }) })
      await one.decide(query())
      await arrives(other, query(), { allowed: false })
      const keys = await server.ask('KEYS', `{sc1:${namespace}}:d:*`)
      const key = /^\{sc1:\S+$/m.exec(keys)?.[0] as string
      const record = await server.ask('HMGET', `{sc1:${namespace}}:v`, 'g', 's')
      const [g, s] = [...record.matchAll(/^(\d+)\r?$/gm)].map(([, digits]) => Number(digits))
      const port = clientOf(server)
      onTestFinished(() => port.disconnect())
      const put = async (payload: string | Buffer, encoding = 0) => {
        const at = [g as number, s as number] as const
        const bytes = Buffer.isBuffer(payload)
          ? payload
          : encodeEntry({ at, encoding, ttl: 60_000, grace: 0, tags: [], payload: Buffer.from(payload) })
        await port.set(key, bytes, 'PX', 60_000)
      }
      for (const payload of [
        '{"allowed":"yes"}',
        '{"allowed":1}',
        '{}',
        'null',
        'true',
        '"allowed"',
        '[true]',
        '{"allowed":true',
        '',
        '{"__proto__":{"allowed":true}}',
        '{"allowed":true,"revision":"x"}',
        Buffer.from('garbage'),
        Buffer.alloc(0),
      ]) {
        const [fresh] = await open({ evaluate: () => ({ allowed: false }) }, { count: 1, namespace })
        await put(payload)
        expect(await fresh.get(query()), String(payload)).toBe(undefined)
        expect((await fresh.getMany([query()]))[0]).toBe(undefined)
        expect(await fresh.decide(query()), String(payload)).toEqual({ allowed: false })
        expect(fresh.getMetrics()).toMatchObject({ evaluations: 1 })
        await sleep(5)
      }
      // One that is a decision is believed: whoever may write there may forge.
      const [fresh] = await open({}, { count: 1, namespace })
      await put('{"allowed":true}')
      expect(await fresh.get(query())).toEqual(allow)
    })

    it('are as recent as the caller asks', async () => {
      let revision = 1
      const evaluate = vi.fn(() => ({ allowed: true, revision }))
      const [one, other, namespace] = await open({ evaluate })
      expect(await one.decide(query())).toEqual({ allowed: true, revision: 1 })
      await sleep(100)
      const status: LoadStatus = {}
      expect(await other.decide(query(), { minRevision: 1, status })).toMatchObject({ revision: 1 })
      expect(status.source).toBe('remote')
      revision = 2
      const [third] = await open({ evaluate }, { count: 1, namespace })
      expect(await third.decide(query(), { minRevision: 2, status })).toMatchObject({ revision: 2 })
      expect(status.source).toBe('load')
      await expect(third.decide(query('bob'), { minRevision: 3 })).rejects.toMatchObject({
        code: 'ERR_POLICY_REVISION',
      })
      expect(await other.decide(query(), { minRevision: 2 })).toMatchObject({ revision: 2 })
    })

    it('are evaluated whatever is there, where Redis is to be passed over', async () => {
      let n = 0
      const evaluate = () => ({ allowed: true, n: ++n })
      const [one, other, namespace] = await open({ evaluate })
      await one.decide(query())
      await sleep(100)
      const status: LoadStatus = {}
      // A process that has asked knows the server's time.
      await other.get(query('bob'))
      expect(await other.decide(query(), { freshness: 'bypass', status })).toMatchObject({ n: 2 })
      expect(status.source).toBe('load')
      // What it made is what others find from then on.
      const [third] = await open({ evaluate }, { count: 1, namespace })
      await arrives(third, query(), { allowed: true, n: 2 })
    })

    it('say how their tier is, and end with it', async () => {
      const [one] = await open()
      expect(await one.healthCheck()).toMatchObject({
        healthy: true,
        tier: { status: 'ok', pending: 0, lease: { follower: true } },
      })
      one.close()
      one.close()
      await expect(one.ready()).rejects.toMatchObject({ code: 'ERR_CACHE_CLOSED' })
      await expect(one.get(query())).rejects.toMatchObject({ code: 'ERR_CACHE_CLOSED' })
      await expect(one.invalidate({ user: 'a' })).rejects.toMatchObject({ code: 'ERR_CACHE_CLOSED' })
      await expect(one.clear()).rejects.toMatchObject({ code: 'ERR_CACHE_CLOSED' })
      await expect(one.decide(query(), { evaluate: () => allow })).rejects.toMatchObject({
        code: 'ERR_CACHE_CLOSED',
      })
    })

    it('have their own namespace, and never that of another kind of cache by its name', async () => {
      const tier = redisTier({ redis: clientOf(server) })
      expect(thrown(() => new PolicyCache({ engine, tier }))).toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' })
      const name = uniqueNamespace()
      expect(thrown(() => new PolicyCache({ engine, tier, name, namespace: 'two' }))).toMatchObject({
        code: 'ERR_INVALID_ARG_TYPE',
      })
      expect(thrown(() => new PolicyCache({ engine, tier: {} as never }))).toMatchObject({
        code: 'ERR_INVALID_ARG_TYPE',
      })
      const shared = uniqueName()
      using _plain = new PolicyCache({ engine, name: shared })
      expect(
        thrown(() => new PolicyCache({ engine, name: shared, tier: tierOf({ namespace: name }) })),
      ).toMatchObject({ code: 'ERR_CACHE_OPTIONS_CONFLICT' })
    })
  })

  it('go on without Redis, and come to what it lost', async () => {
    const own = await startServer(KIND)
    const tier = () =>
      redisTier({
        redis: clientOf(own),
        namespace: 'decisions',
        maxStaleness: 400,
        readTimeout: 500,
        writeTimeout: 500,
      })
    let allowed = true
    const evaluate = () => ({ allowed })
    using one = new PolicyCache({ evaluate, tier: tier() })
    using other = new PolicyCache({ evaluate, tier: tier() })
    try {
      for (const cache of [one, other]) {
        await cache.ready(AbortSignal.timeout(10_000))
        expect(await cache.decide(query())).toEqual({ allowed: true })
      }
      await own.kill()
      allowed = false
      await expect(one.invalidate({ user: 'alice' })).rejects.toMatchObject({
        code: 'ERR_CACHE_CHANGE_PENDING',
      })
      expect(await one.decide(query())).toEqual({ allowed: false })
      // It has not heard of it, and may serve it no longer.
      await vi.waitFor(async () => expect(await other.decide(query())).toEqual({ allowed: false }), {
        timeout: 5_000,
      })
      expect((await other.healthCheck()).tier).toMatchObject({ status: 'degraded' })
      await own.start()
      await Promise.all([one, other].map((cache) => cache.ready(AbortSignal.timeout(15_000))))
      expect(await one.decide(query())).toEqual({ allowed: false })
      expect(await other.decide(query())).toEqual({ allowed: false })
    } finally {
      one.close()
      other.close()
      await own.stop()
    }
  })

  it('does not mix decisions with the values of a tiered cache that was given another namespace', async () => {
    const namespace = uniqueNamespace()
    using decisions = new PolicyCache({
      evaluate: () => allow,
      tier: tierOf({ namespace: `${namespace}.d` }),
    })
    await using values = new TieredCache({ namespace, redis: clientOf(server) })
    await Promise.all([decisions, values].map((cache) => cache.ready(AbortSignal.timeout(10_000))))
    await decisions.decide(query())
    await values.clear()
    await sleep(50)
    expect(decisions.cached(query())).toEqual(allow)
  })
})
