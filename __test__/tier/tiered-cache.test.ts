import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { available, startServer } from '../../scripts/servers.mjs'
import { Cache } from '../../src/index.js'
import type { LoadStatus } from '../../src/loading/options.js'
import { encodeEntry } from '../../src/tier/envelope.js'
import type { RedisPort, TieredCacheOptions, TierMessage } from '../../src/tier/tier.js'
import { TieredCache } from '../../src/tier/tier.js'
import { engines, sleep, thrown, uniqueName } from '../support/engines.js'
import type { Server } from '../support/redis.js'
import { clientOf, KIND, openTiered, uniqueNamespace } from '../support/tiered.js'

/** A connection that never comes to be. */
const nowhere = (): RedisPort => ({
  send: () => Promise.reject(new Error('not connected')),
  on: () => {},
  reset: () => {},
  close: () => {},
})

const isThere = available().some(({ kind }) => kind === KIND)

describe.skipIf(!isThere)(`a tiered cache on ${KIND}${isThere ? '' : ', which is not available'}`, () => {
  let server: Server

  beforeAll(async () => {
    server = await startServer(KIND)
  })
  afterAll(() => server?.stop())

  describe.each(engines)('and the %s engine', (engine) => {
    /** Caches as so many processes have them. */
    async function open<V = unknown>(count: number, options: Partial<TieredCacheOptions> = {}) {
      const { namespace = uniqueNamespace() } = options
      const all = await Promise.all(
        Array.from({ length: count }, () => openTiered<V>(server, { engine, ...options, namespace })),
      )
      onTestFinished(async () => {
        await Promise.all(all.map((cache) => cache.close()))
      })
      return all as [TieredCache<V>, TieredCache<V>, ...TieredCache<V>[]]
    }

    /** Waits until what was stored elsewhere is there. Fills are not awaited. */
    const arrives = (cache: { get(key: string): Promise<unknown> }, key: string, value: unknown) =>
      vi.waitFor(async () => expect(await cache.get(key)).toEqual(value), { timeout: 10_000, interval: 5 })

    it('loads once for all processes, and says from where a value came', async () => {
      const [one, other] = await open(2)
      const load = vi.fn(() => ({ n: 1 }))
      const status: LoadStatus = {}
      expect(await one.getOrSet('k', load, { status })).toEqual({ n: 1 })
      expect(status.source).toBe('load')
      expect(await one.getOrSet('k', load, { status })).toEqual({ n: 1 })
      expect(status.source).toBe('hit')
      await vi.waitFor(() => expect(one.stats().fills).toBe(1))
      expect(await other.getOrSet('k', load, { status })).toEqual({ n: 1 })
      expect(status.source).toBe('remote')
      expect(await other.getOrSet('k', load, { status })).toEqual({ n: 1 })
      expect(status.source).toBe('hit')
      expect(load).toHaveBeenCalledTimes(1)
      expect(other.stats()).toMatchObject({ remoteHits: 1, fills: 0, remoteErrors: 0 })
      expect(one.stats()).toMatchObject({ remoteHits: 0, remoteMisses: 1, fills: 1 })
    })

    it('stores for all what is the first that a process does, loaded whatever there is', async () => {
      const [one, other] = await open(2)
      expect(await one.getOrSet('k', () => 1, { forceRefresh: true })).toBe(1)
      await arrives(other, 'k', 1)
    })

    it('finds values by get, getMany and getLocal', async () => {
      const [one, other] = await open(2)
      await one.set('a', 1)
      await one.set('b', { deep: [1] })
      await arrives(other, 'a', 1)
      expect(other.getLocal('a')).toBe(1)
      expect(other.getLocal('b')).toBe(undefined)
      expect(other.getLocal('none')).toBe(undefined)
      expect(await other.getMany(['b', 'none', 'a', 'b'])).toEqual([
        { deep: [1] },
        undefined,
        1,
        { deep: [1] },
      ])
      expect(await other.getMany([])).toEqual([])
      expect(other.getLocal('b')).toEqual({ deep: [1] })
    })

    it('tells other processes of each change', async () => {
      const [one, other] = await open<number>(2, { maxStaleness: 10_000 })
      const both = async (key: string, tags: readonly string[]) => {
        expect(await one.getOrSet(key, () => 1, { tags })).toBe(1)
        await arrives(other, key, 1)
      }
      const gone = (key: string) =>
        vi.waitFor(() => expect(other.getLocal(key)).toBe(undefined), { timeout: 5_000, interval: 2 })
      await both('k', [])
      expect(await one.delete('k')).toBe(true)
      expect(one.getLocal('k')).toBe(undefined)
      await gone('k')
      expect(await other.get('k')).toBe(undefined)
      expect(await one.delete('k')).toBe(false)

      for (const key of ['a', 'b', 'c']) await both(key, [`t${key}`, 't'])
      expect(await one.deleteMany(['a', 'none', 'b'])).toEqual([true, false, true])
      expect(await one.deleteMany([])).toEqual([])
      for (const key of ['a', 'b']) await gone(key)
      expect(other.getLocal('c')).toBe(1)
      await one.invalidateTag('tx')
      await one.invalidateTag('tc')
      await gone('c')
      expect(await other.get('c')).toBe(undefined)

      for (const key of ['d', 'e', 'f']) await both(key, [`t${key}`])
      await one.invalidateTags(['td', 'te'])
      await one.invalidateTags([])
      for (const key of ['d', 'e']) await gone(key)
      expect(other.getLocal('f')).toBe(1)
      await one.clear()
      expect(one.getLocal('f')).toBe(undefined)
      await gone('f')
      expect(await Promise.all([one.get('f'), other.get('f')])).toEqual([undefined, undefined])
    })

    it('stores what a process set, unless it was overtaken', async () => {
      const [one, other] = await open<number>(2)
      expect(await one.set('k', 1)).toBe(true)
      await arrives(other, 'k', 1)
      expect(await other.set('k', 2, 60_000)).toBe(true)
      expect(other.getLocal('k')).toBe(2)
      await arrives(one, 'k', 2)
      expect(await one.set('k', 3, { ttl: 0 })).toBe(false)
      expect(await one.get('k')).toBe(undefined)
      await vi.waitFor(async () => expect(await other.get('k')).toBe(undefined), { timeout: 5_000 })
      expect(await one.set('k', 4, { expiresAt: Date.now() + 60_000 })).toBe(true)
      expect(await one.set('k', 5, { expiresAt: 5 })).toBe(false)
      expect(await one.get('k')).toBe(undefined)
    })

    it('fills what was loaded after a fence, and changes nothing for others by it', async () => {
      const [one, other] = await open<number>(2)
      // A process that has asked knows the server's time.
      await one.get('k')
      const fence = one.fence()
      expect(await one.set('k', 1, { fence, tags: ['t'] })).toBe(true)
      await arrives(other, 'k', 1)
      expect(one.stats().changes).toBe(0)
      await other.invalidateTag('t')
      const late = one.fence()
      await vi.waitFor(() => expect(one.getLocal('k')).toBe(undefined), { timeout: 5_000 })
      // Whatever the other has heard by then, it is not to be believed.
      await one.set('k', 2, { fence, tags: ['t'] })
      expect(await other.get('k')).toBe(undefined)
      await one.invalidateTag('t')
      expect(await one.set('k', 3, { fence: late, tags: ['t'] })).toBe(false)
      expect(await one.get('k')).toBe(undefined)
      await expect(one.set('k', 1, { fence: {} as never })).rejects.toMatchObject({
        code: 'ERR_INVALID_ARG_TYPE',
      })
      await expect(one.set('k', 1, { fence: 5 as never })).rejects.toMatchObject({
        code: 'ERR_INVALID_ARG_TYPE',
      })
    })

    it('stores no load that a change of another process overtook', async () => {
      const [one, other] = await open<string>(2)
      const ends: ((value: string) => void)[] = []
      const load = () => new Promise<string>((resolve) => ends.push(resolve))
      const loading = one.getOrSet('k', load, { tags: ['t'] })
      await vi.waitFor(() => expect(ends).toHaveLength(1), { timeout: 5_000 })
      await other.invalidateTag('t')
      // Whether this process has heard of it or not, what was loaded is not to be believed.
      const isHeard = engine === 'rust'
      if (isHeard) {
        await vi.waitFor(() => expect(one.stats().changesApplied).toBe(1), { timeout: 5_000 })
      }
      ends[0]?.('old')
      if (isHeard) await vi.waitFor(() => expect(ends).toHaveLength(2), { timeout: 5_000 })
      ends[1]?.('new')
      const value = await loading
      if (isHeard) expect(value).toBe('new')
      await sleep(50)
      expect(await other.get('k')).not.toBe('old')
      await vi.waitFor(() => expect(one.getLocal('k')).not.toBe('old'), { timeout: 5_000 })
    })

    it('wraps functions', async () => {
      const [one, other] = await open<number>(2)
      const load = vi.fn((a: number, b: number) => a + b)
      const [sum, there] = [one, other].map((cache) =>
        cache.wrap(load, { key: (a, b) => `${a}+${b}`, tags: (_, a) => [`a${a}`] }),
      ) as [ReturnType<typeof wrapped>, ReturnType<typeof wrapped>]
      function wrapped() {
        return one.wrap(load, { key: (a, b) => `${a}+${b}` })
      }
      expect(await sum(1, 2)).toBe(3)
      await arrives(other, '1+2', 3)
      expect(await there(1, 2)).toBe(3)
      expect(load).toHaveBeenCalledTimes(1)
      expect(sum.key(1, 2)).toBe('1+2')
      expect(await there.delete(1, 2)).toBe(true)
      await vi.waitFor(() => expect(one.getLocal('1+2')).toBe(undefined), { timeout: 5_000 })
      expect(await sum(1, 2)).toBe(3)
      expect(load).toHaveBeenCalledTimes(2)
    })

    it('knows keys and tags of all kinds apart', async () => {
      const [one, other] = await open<number>(2)
      const half = '\ud800'
      const keys = [
        '',
        'x'.repeat(64),
        'x'.repeat(65),
        'ü'.repeat(40),
        'ü'.repeat(400),
        half,
        `${half}a`,
        '\udc00',
        '\ufffd',
        '~',
        '~x',
        '~'.repeat(100),
        ' ',
        '\0',
        '\0\0',
        '\r\n*1\r\n$8\r\nFLUSHALL\r\n',
        '{sc1:x}:v',
        '=k',
        '#k',
        'c',
        '__proto__',
        'constructor',
        '🔑'.repeat(16),
        '🔑'.repeat(17),
        'k'.repeat(100_000),
      ]
      for (const [at, key] of keys.entries())
        expect(await one.set(key, at, { tags: [key || 'empty'] })).toBe(true)
      await vi.waitFor(() => expect(other.stats().changesApplied).toBe(keys.length), { timeout: 5_000 })
      await vi.waitFor(async () => expect(await other.getMany(keys)).toEqual(keys.map((_, at) => at)), {
        timeout: 5_000,
      })
      expect(keys.map((key) => other.getLocal(key))).toEqual(keys.map((_, at) => at))
      // Each is removed alone: by its name half of them, by its tag the others.
      for (const [at, key] of keys.entries()) {
        await (at % 2 === 0 ? one.delete(key) : one.invalidateTag(key))
        await vi.waitFor(
          () =>
            expect(keys.map((each) => other.getLocal(each))).toEqual(
              keys.map((_, n) => (n <= at ? undefined : n)),
            ),
          { timeout: 5_000, interval: 1 },
        )
        expect(await other.get(key)).toBe(undefined)
      }
    })

    it.each([
      ['get', (cache: TieredCache) => cache.get(5 as never)],
      ['getMany', (cache: TieredCache) => cache.getMany(['a', null as never])],
      ['getMany', (cache: TieredCache) => cache.getMany('ab' as never)],
      ['getOrSet', (cache: TieredCache) => cache.getOrSet(null as never, () => 1)],
      ['getOrSet', (cache: TieredCache) => cache.getOrSet('k', 5 as never)],
      ['getOrSet', (cache: TieredCache) => cache.getOrSet('k', () => 1, { tag: [] } as never)],
      ['set', (cache: TieredCache) => cache.set(5 as never, 1)],
      ['set', (cache: TieredCache) => cache.set('k', undefined)],
      ['set', (cache: TieredCache) => cache.set('k', () => 1)],
      ['set', (cache: TieredCache) => cache.set('k', 1, -5)],
      ['set', (cache: TieredCache) => cache.set('k', 1, { tag: ['a'] } as never)],
      ['set', (cache: TieredCache) => cache.set('k', 1, { tags: [5 as never] })],
      ['delete', (cache: TieredCache) => cache.delete(5 as never)],
      ['deleteMany', (cache: TieredCache) => cache.deleteMany(['a', 5 as never])],
      ['invalidateTag', async (cache: TieredCache) => cache.invalidateTag(undefined as never)],
      ['invalidateTag', async (cache: TieredCache) => cache.invalidateTag(5 as never)],
      ['invalidateTags', async (cache: TieredCache) => cache.invalidateTags('ab' as never)],
    ])('refuses what is wrong at once: %s', async (_, call) => {
      const [cache] = await open(1)
      await expect(call(cache)).rejects.toMatchObject({ code: expect.stringMatching(/^ERR_/) })
      expect(cache.stats()).toMatchObject({ changes: 0, pendingAdded: 0, fills: 0 })
    })

    it('waits for one load over processes, where there is a lease', async () => {
      const caches = await open<number>(4, { loadLease: 20_000 })
      const load = vi.fn(() => sleep(150).then(() => 7))
      expect(await Promise.all(caches.map((cache) => cache.getOrSet('k', load)))).toEqual([7, 7, 7, 7])
      expect(load).toHaveBeenCalledTimes(1)
      // A load that fails gives the lease to the next, at once.
      const failing = vi.fn(() => sleep(50).then(() => Promise.reject(new Error('down'))))
      const began = performance.now()
      const results = await Promise.allSettled(caches.map((cache) => cache.getOrSet('bad', failing)))
      expect(results.map(({ status }) => status)).toEqual(caches.map(() => 'rejected'))
      expect(failing).toHaveBeenCalledTimes(4)
      expect(performance.now() - began).toBeLessThan(10_000)
    })

    it('waits no longer than its lease for a process that is gone', async () => {
      const [one, other] = await open<number>(2, { loadLease: 400 })
      void one.getOrSet('k', () => new Promise<number>(() => {}), { hardTimeout: 60_000 }).catch(() => {})
      await sleep(50)
      const began = performance.now()
      expect(await other.getOrSet('k', () => 8)).toBe(8)
      expect(performance.now() - began).toBeGreaterThan(200)
      expect(performance.now() - began).toBeLessThan(10_000)
    })

    it('refreshes once over processes, ahead of the end', async () => {
      const caches = await open<number>(3)
      let loads = 0
      const load = () => sleep(30).then(() => ++loads)
      const options = { ttl: 20_000, refreshAhead: 0.999 }
      expect(await caches[0].getOrSet('k', load, options)).toBe(1)
      await arrives(caches[1], 'k', 1)
      await arrives(caches[2] as (typeof caches)[0], 'k', 1)
      await sleep(60)
      expect(await Promise.all(caches.map((cache) => cache.getOrSet('k', load, options)))).toEqual([1, 1, 1])
      await vi.waitFor(() => expect(caches.map((cache) => cache.getLocal('k'))).toContain(2), {
        timeout: 5_000,
      })
      await sleep(100)
      expect(loads).toBe(2)
    })

    it('serves what Redis has past its TTL, where a load fails', async () => {
      const [one, other] = await open<string>(2)
      const options = { ttl: 60, staleIfError: 60_000 }
      expect(await one.getOrSet('k', () => 'old', { ...options, tags: ['t'] })).toBe('old')
      await vi.waitFor(() => expect(one.stats().fills).toBe(1))
      await sleep(100)
      const status: LoadStatus = {}
      const down = () => Promise.reject<string>(new Error('down'))
      expect(await other.getOrSet('k', down, { ...options, status })).toBe('old')
      expect(status).toMatchObject({ source: 'stale', error: { message: 'down' } })
      expect(other.stats().remoteStale).toBeGreaterThan(0)
      expect(await other.get('k')).toBe(undefined)
      await expect(other.getOrSet('k', down)).rejects.toThrow('down')
      await one.invalidateTag('t')
      await expect(other.getOrSet('k', down, options)).rejects.toThrow('down')
    })

    it('holds a value no longer than localTtl, and renews nothing', async () => {
      const [one, other] = await open<number>(2, { localTtl: 50 })
      await one.getOrSet('k', () => 1, { ttl: 60_000 })
      await vi.waitFor(() => expect(one.stats().fills).toBe(1))
      await sleep(70)
      expect(one.getLocal('k')).toBe(undefined)
      expect(await one.get('k')).toBe(1)
      expect(await other.get('k')).toBe(1)
      const [short, later] = await open<number>(2)
      await short.getOrSet('k', () => 1, { ttl: 300 })
      await vi.waitFor(() => expect(short.stats().fills).toBe(1))
      await sleep(150)
      await later.get('k')
      await sleep(200)
      expect(later.getLocal('k')).toBe(undefined)
      expect(await later.get('k')).toBe(undefined)
    })

    it('makes a miss of whatever is in Redis and cannot be understood', async () => {
      const namespace = uniqueNamespace()
      const [one] = await open(1, { namespace })
      const other = await openTiered(server, { namespace, engine, serializer: 'v8' })
      onTestFinished(() => other.close())
      await one.set('k', { a: 1 })
      await vi.waitFor(() => expect(one.stats().fills).toBe(1))
      // Of another serializer.
      expect(await other.get('k')).toBe(undefined)
      expect(other.stats().remoteRefused).toBe(1)
      const { epoch, sequence } = one.health().lease
      const entryOf = (payload: string) =>
        encodeEntry({
          at: [epoch, sequence],
          encoding: 0,
          ttl: 60_000,
          grace: 0,
          tags: [],
          payload: Buffer.from(payload),
        })
      const client = clientOf(server)
      onTestFinished(() => client.disconnect())
      for (const value of ['', 'x', '\x01'.repeat(60), '{}', ...['', '{', 'nul', '1 2'].map(entryOf)]) {
        const fresh = await openTiered(server, { namespace, engine })
        await client.set(`{sc1:${namespace}}:e:k`, value, 'PX', 60_000)
        expect(await fresh.get('k')).toBe(undefined)
        // Nothing of it is kept.
        expect(fresh.getLocal('k')).toBe(undefined)
        expect(await fresh.getMany(['k', 'k'])).toEqual([undefined, undefined])
        expect(await fresh.getOrSet('k', () => 1)).toBe(1)
        expect(fresh.stats()).toMatchObject({ loads: 1 })
        await fresh.close()
      }
    })

    it('tells what happens on its channel', async () => {
      const namespace = uniqueNamespace()
      const told: TierMessage[] = []
      const listen = (message: unknown) => {
        if ((message as TierMessage).namespace === namespace) told.push(message as TierMessage)
      }
      subscribe('sark-cache:tier', listen)
      onTestFinished(() => void unsubscribe('sark-cache:tier', listen))
      const [cache] = await open(1, { namespace })
      await cache.set('k', 1)
      await server.ask('DEL', `{sc1:${namespace}}:v`)
      await vi.waitFor(() => expect(told.map(({ type }) => type)).toContain('cleared'), { timeout: 10_000 })
      expect(told.find(({ type }) => type === 'cleared')).toMatchObject({ reason: 'epoch' })
      expect(told.filter(({ type }) => type === 'attached').length).toBeGreaterThanOrEqual(2)
      expect(cache.stats().clears.epoch).toBeGreaterThanOrEqual(1)
    })

    it('says how it is, and starts its statistics anew', async () => {
      const [cache] = await open(1)
      await cache.getOrSet('k', () => 1)
      await cache.delete('k')
      expect(cache.state).toBe('ok')
      const health = cache.health()
      expect(health).toMatchObject({
        status: 'ok',
        lease: { follower: true },
        redis: { state: 'closed', attached: true },
        pending: 0,
        error: undefined,
      })
      expect(health.lease.heldForMs).toBeGreaterThan(0)
      expect(health.lease.heldForMs).toBeLessThanOrEqual(2_000)
      expect(health.lease.confirmedAgeMs).toBeGreaterThanOrEqual(0)
      expect(health.lease.epoch).toBeGreaterThan(0)
      expect(health.redis.rttMs).toBeGreaterThan(0)
      expect(cache.stats()).toMatchObject({ misses: 1, remoteMisses: 1, changes: 1, loads: 1 })
      cache.resetStats()
      expect(cache.stats()).toMatchObject({ misses: 0, remoteMisses: 0, changes: 0, clears: { epoch: 0 } })
    })

    it('is closed once, and says so from then on', async () => {
      const cache = await openTiered(server, { namespace: uniqueNamespace(), engine })
      await cache.set('k', 1)
      await Promise.all([cache.close(), cache.close()])
      await cache.close()
      const code = 'ERR_CACHE_CLOSED'
      expect(cache.state).toBe('closed')
      expect(cache.health()).toMatchObject({ status: 'failed', pending: 0, lease: { heldForMs: 0 } })
      for (const call of [
        () => cache.get('k'),
        () => cache.getMany(['k']),
        () => cache.getOrSet('k', () => 1),
        () => cache.set('k', 1),
        () => cache.delete('k'),
        () => cache.deleteMany(['k']),
        async () => cache.invalidateTag('k'),
        async () => cache.invalidateTags(['k']),
        async () => cache.clear(),
        () => cache.ready(),
        async () => cache.getLocal('k'),
        async () => cache.fence(),
        async () => cache.stats(),
        async () => cache.resetStats(),
      ]) {
        await expect(call(), call.toString()).rejects.toMatchObject({ code })
      }
    })

    it('is one with a cache of its name in this process', async () => {
      const [name, namespace] = [uniqueName(), uniqueNamespace()]
      const [one, other] = await open(2, { name, namespace })
      await one.set('k', 1)
      expect(one.name).toBe(name)
      // Threads share the native engine; in one thread, both do.
      expect(other.getLocal('k')).toBe(1)
      expect([one, other].filter((cache) => cache.health().lease.follower)).toHaveLength(1)
      expect(thrown(() => new Cache({ name, engine }))).toMatchObject({ code: 'ERR_CACHE_OPTIONS_CONFLICT' })
      const plain = uniqueName()
      using _cache = new Cache({ name: plain, engine })
      expect(
        thrown(() => new TieredCache({ name: plain, namespace, engine, redis: clientOf(server) })),
      ).toMatchObject({ code: 'ERR_CACHE_OPTIONS_CONFLICT' })
    })
  })

  it('keeps changes that Redis has not acknowledged, and delivers them', async () => {
    const own = await startServer(KIND)
    const namespace = uniqueNamespace()
    const told: string[] = []
    const listen = (message: unknown) => {
      if ((message as TierMessage).namespace === namespace) told.push((message as TierMessage).type)
    }
    subscribe('sark-cache:tier', listen)
    const options = { namespace, maxStaleness: 400, readTimeout: 500, writeTimeout: 500 }
    const [one, other] = await Promise.all([openTiered(own, options), openTiered(own, options)])
    try {
      await one.set('k', 'old')
      await vi.waitFor(async () => expect(await other.get('k')).toBe('old'))
      own.pause()
      await expect(one.delete('k')).rejects.toMatchObject({
        code: 'ERR_CACHE_CHANGE_PENDING',
        cause: expect.any(Error),
      })
      await expect(one.set('s', 1)).rejects.toMatchObject({ code: 'ERR_CACHE_CHANGE_PENDING' })
      expect(one.health()).toMatchObject({ status: 'degraded', pending: 2 })
      expect(one.getLocal('k')).toBe(undefined)
      expect(await one.get('k')).toBe(undefined)
      // Loads go on.
      expect(await one.getOrSet('k', () => 'new')).toBe('new')
      await vi.waitFor(() => expect(other.state).toBe('suspended'), { timeout: 5_000 })
      expect(other.getLocal('k')).toBe(undefined)
      own.resume()
      await vi.waitFor(() => expect(one.health().pending).toBe(0), { timeout: 10_000 })
      await Promise.all([one, other].map((cache) => cache.ready(AbortSignal.timeout(10_000))))
      expect(await other.get('k')).not.toBe('old')
      expect(one.stats()).toMatchObject({ pendingAdded: 2, pendingDelivered: 2 })
      expect(told).toEqual(expect.arrayContaining(['pending', 'delivered', 'suspended', 'resumed']))
      // The process dies, and another takes its place.
      await own.kill()
      await expect(one.clear()).rejects.toMatchObject({ code: 'ERR_CACHE_CHANGE_PENDING' })
      expect(await one.getOrSet('x', () => 1)).toBe(1)
      await own.start()
      await vi.waitFor(() => expect(one.health()).toMatchObject({ pending: 0, status: 'ok' }), {
        timeout: 15_000,
      })
      await other.ready(AbortSignal.timeout(10_000))
      expect(await other.getOrSet('k', () => 'newest')).toBe('newest')
    } finally {
      unsubscribe('sark-cache:tier', listen)
      await Promise.all([one.close(), other.close()])
      await own.stop()
    }
  })
})

describe.each(engines)('a tiered cache without a server on the %s engine', (engine) => {
  const open = (options: Partial<TieredCacheOptions> = {}) =>
    new TieredCache<number>({ namespace: uniqueNamespace(), engine, redis: nowhere, ...options })

  it('loads, serves what it loaded for as long as it may, and says that it waits', async () => {
    await using cache = open({ maxStaleness: 300 })
    expect(cache.state).toBe('connecting')
    const load = vi.fn(() => 1)
    expect(await cache.getOrSet('k', load)).toBe(1)
    expect(await cache.getOrSet('k', load)).toBe(1)
    expect(load).toHaveBeenCalledTimes(1)
    expect(await cache.get('none')).toBe(undefined)
    expect(cache.getLocal('k')).toBe(undefined)
    await sleep(350)
    expect(await cache.getOrSet('k', load)).toBe(1)
    expect(load).toHaveBeenCalledTimes(2)
    await expect(cache.delete('k')).rejects.toMatchObject({ code: 'ERR_CACHE_CHANGE_PENDING' })
    expect(await cache.getOrSet('k', () => 2)).toBe(2)
    expect(cache.health()).toMatchObject({
      status: 'degraded',
      pending: 1,
      redis: { attached: false, rttMs: Number.NaN },
      lease: { heldForMs: 0, epoch: 0 },
    })
  })

  it('is not ready before its lease is held', async () => {
    const cache = open()
    const reason = new Error('enough')
    await expect(cache.ready(AbortSignal.abort(reason))).rejects.toBe(reason)
    const abort = new AbortController()
    const waiting = cache.ready(abort.signal)
    setTimeout(() => abort.abort(reason), 20)
    await expect(waiting).rejects.toBe(reason)
    await expect(cache.ready('now' as never)).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' })
    const closing = cache.ready()
    await cache.close()
    await expect(closing).rejects.toMatchObject({ code: 'ERR_CACHE_CLOSED' })
  })

  it('ends in time with changes that cannot be delivered', async () => {
    const cache = open({ writeTimeout: 100 })
    await expect(cache.clear()).rejects.toMatchObject({ code: 'ERR_CACHE_CHANGE_PENDING' })
    const began = performance.now()
    await cache.close()
    expect(performance.now() - began).toBeLessThan(5_000)
  })

  const client = { callBuffer() {}, duplicate() {}, connect() {}, disconnect() {}, on() {} }
  it.each([
    [{ redis: undefined }, 'ERR_INVALID_ARG_TYPE', 'redis'],
    [{ redis: null }, 'ERR_INVALID_ARG_TYPE', 'redis'],
    [{ redis: 'redis://localhost' }, 'ERR_INVALID_ARG_TYPE', 'redis'],
    [{ redis: {} }, 'ERR_INVALID_ARG_TYPE', 'sendCommand'],
    [{ redis: { ...client, duplicate: 5 } }, 'ERR_INVALID_ARG_TYPE', 'duplicate()'],
    [{ redis: { sendCommand() {}, duplicate() {}, connect() {} } }, 'ERR_INVALID_ARG_TYPE', 'destroy()'],
    [{ namespace: undefined }, 'ERR_INVALID_ARG_TYPE', 'namespace'],
    [{ namespace: '' }, 'ERR_OUT_OF_RANGE', 'namespace'],
    [{ namespace: 'a b' }, 'ERR_OUT_OF_RANGE', 'namespace'],
    [{ namespace: 'a}b' }, 'ERR_OUT_OF_RANGE', 'namespace'],
    [{ namespace: 'ü' }, 'ERR_OUT_OF_RANGE', 'namespace'],
    [{ namespace: 'a\n' }, 'ERR_OUT_OF_RANGE', 'namespace'],
    [{ namespace: 5 }, 'ERR_INVALID_ARG_TYPE', 'namespace'],
    [{ namespace: undefined, name: 'with space' }, 'ERR_OUT_OF_RANGE', 'name'],
    [{ near: { clock: 'coarse' } }, 'ERR_OUT_OF_RANGE', 'near.clock'],
    [{ near: { clock: undefined } }, 'ERR_OUT_OF_RANGE', 'near.clock'],
    [{ near: { most: 5 } }, 'ERR_CACHE_UNKNOWN_OPTION', 'most'],
    [{ near: 5 }, 'ERR_INVALID_ARG_TYPE', 'near'],
    [{ maxStaleness: 199 }, 'ERR_OUT_OF_RANGE', 'maxStaleness'],
    [{ maxStaleness: Number.NaN }, 'ERR_OUT_OF_RANGE', 'maxStaleness'],
    [{ maxStaleness: '5' }, 'ERR_INVALID_ARG_TYPE', 'maxStaleness'],
    [{ readTimeout: 0 }, 'ERR_OUT_OF_RANGE', 'readTimeout'],
    [{ readTimeout: Infinity }, 'ERR_OUT_OF_RANGE', 'readTimeout'],
    [{ writeTimeout: -1 }, 'ERR_OUT_OF_RANGE', 'writeTimeout'],
    [{ writeTimeout: 2 ** 31 }, 'ERR_OUT_OF_RANGE', 'writeTimeout'],
    [{ loadLease: -1 }, 'ERR_OUT_OF_RANGE', 'loadLease'],
    [{ loadLease: Infinity }, 'ERR_OUT_OF_RANGE', 'loadLease'],
    [{ localTtl: -1 }, 'ERR_OUT_OF_RANGE', 'localTtl'],
    [{ localTtl: 'x' }, 'ERR_INVALID_ARG_TYPE', 'localTtl'],
    [{ clock: Date }, 'ERR_CACHE_UNKNOWN_OPTION', 'clock'],
    [{ updateAgeOnGet: true }, 'ERR_CACHE_UNKNOWN_OPTION', 'updateAgeOnGet'],
    [{ maxstaleness: 500 }, 'ERR_CACHE_UNKNOWN_OPTION', 'maxStaleness'],
  ])('refuses %o', (options, code, word) => {
    const error = thrown(() => open(options as never))
    expect(error).toMatchObject({ code, message: expect.stringContaining(word) })
  })
})
