import { rmSync } from 'node:fs'
import path from 'node:path'
import { Redis } from 'ioredis'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { available, startServer } from '../../scripts/servers.mjs'
import { portsOf } from '../../src/tier/clients/connect.js'
import { encodeEntry, payloadOf } from '../../src/tier/envelope.js'
import { TieredCache, type TieredCacheOptions } from '../../src/tier/tier.js'
import type { Server } from '../support/redis.js'
import { Gate } from './nemesis/gate.mjs'

/** Ms, as the caches are set up, and what comes on top of a bound on a machine that does other things, too. */
const STALENESS = 600
const READ_TIMEOUT = 50
const WRITE_TIMEOUT = 400
const SLACK = 1_000
/** Ms in which a tier is well again, once its server is. */
const HEALED = 3_000 + SLACK

const record = { newer: '{sc1:ns}:v', older: '{sc1:ns}:w', log: '{sc1:ns}:l' }
const entry = (key: string) => `{sc1:ns}:e:${key}`

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

async function until(what: string, isSo: () => boolean | Promise<boolean>, ms = HEALED): Promise<number> {
  const began = performance.now()
  while (!(await isSo())) {
    if (performance.now() - began > ms) throw new Error(`${what}: not within ${ms} ms`)
    await sleep(5)
  }
  return performance.now() - began
}

async function timed<T>(work: () => Promise<T>): Promise<{ value: T; ms: number }> {
  const began = performance.now()
  const value = await work()
  return { value, ms: performance.now() - began }
}

const both = available().filter(({ kind }) => kind === 'redis-7.0' || kind === 'valkey-8.1')
// Bounds are waited for: the other server has its turn where there is the time.
const kinds = process.env.SARK_TEST_NEMESIS === undefined ? both.slice(0, 1) : both

describe.skipIf(kinds.length === 0).each(kinds)('what becomes of a tier, on $kind,', ({ kind }) => {
  let server: Server
  let gates: Gate[]
  let caches: TieredCache<unknown>[]
  let loads: number
  let run = 0

  beforeEach(async () => {
    server = await startServer(kind)
    gates = []
    caches = []
    loads = 0
    run++
  })
  afterEach(async () => {
    for (const cache of caches) await cache.close()
    for (const gate of gates) gate.close()
    server.resume()
    await server.stop()
  })

  /** What stands before the server for one process, or for a part of it. */
  async function openGate(): Promise<Gate> {
    const gate = new Gate(path.join(server.folder, `gate${gates.length}`), () => server.at)
    gates.push(gate)
    await gate.listen()
    return gate
  }

  const clientOf = (gate?: Gate) =>
    new Redis({ path: gate?.path ?? server.unixSocket ?? '', lazyConnect: true })

  /** A cache that stands for a process: its name is its own. */
  async function open(name: string, more: Partial<TieredCacheOptions> = {}) {
    const cache = new TieredCache<unknown>({
      name: `${name}${run}-${kind}`,
      namespace: 'ns',
      redis: clientOf(),
      ttl: 60_000,
      maxStaleness: STALENESS,
      readTimeout: READ_TIMEOUT,
      writeTimeout: WRITE_TIMEOUT,
      near: false,
      ...more,
    })
    caches.push(cache)
    await cache.ready(AbortSignal.timeout(10_000))
    return cache
  }

  const load = () => `loaded ${++loads}`
  const get = (cache: TieredCache<unknown>, key = 'k') => cache.getOrSet(key, load)
  const sourceOf = async (cache: TieredCache<unknown>, key: string) => {
    const status: { source?: string } = {}
    await cache.getOrSet(key, load, { status } as never)
    return status.source
  }
  const isWell = (cache: TieredCache<unknown>) => cache.health().status === 'ok'
  const pending = (work: Promise<unknown>) =>
    work.then(
      () => 'acknowledged',
      (error: { code?: string }) => error.code,
    )

  /** What is held is served for no longer than the lease, then loaded, and what is not held is loaded within `ms`. */
  async function expectSuspension(cache: TieredCache<unknown>, held: string, ms: number) {
    const left = cache.health().lease.heldForMs
    expect(left).toBeLessThanOrEqual(STALENESS)
    if (left > 100) expect(cache.getLocal(held)).toBeDefined()
    const miss = await timed(() => get(cache, 'another'))
    expect(miss.ms).toBeLessThan(ms + SLACK)
    await until('the lease ends', () => cache.getLocal(held) === undefined, STALENESS + SLACK)
    expect(cache.state).toBe('suspended')
    const before = loads
    expect(await get(cache, held)).toBe(`loaded ${before + 1}`)
    // The source is asked once, not by each call.
    await Promise.all([get(cache, held), get(cache, held)])
    expect(loads).toBe(before + 1)
  }

  async function expectHealed(...all: TieredCache<unknown>[]) {
    await until('all is well again', () => all.every((each) => isWell(each) && each.health().redis.attached))
    const [a, b] = all as [TieredCache<unknown>, TieredCache<unknown>?]
    await a.delete('healed')
    await get(a, 'healed')
    if (b === undefined) return
    await until('what one loaded the other finds', async () => (await b.get('healed')) !== undefined)
    await a.delete('healed')
    await until('what one changed the other misses', () => b.getLocal('healed') === undefined, SLACK)
  }

  it('when the server is down', async () => {
    const [a, b] = [await open('a'), await open('b')]
    await get(a)
    await get(b)
    await server.kill()
    await until('the connection is gone', () => !a.health().redis.attached, SLACK)
    const change = await timed(() => pending(a.delete('k')))
    expect(change).toMatchObject({ value: 'ERR_CACHE_CHANGE_PENDING' })
    expect(change.ms).toBeLessThan(SLACK / 2)
    expect(a.getLocal('k')).toBeUndefined()
    const none = await timed(() => a.get('nothing'))
    expect(none.value).toBeUndefined()
    expect(none.ms).toBeLessThan(SLACK / 2)
    await expectSuspension(b, 'k', 0)
    expect(a.health()).toMatchObject({ status: 'degraded', pending: 1 })
    await server.start()
    await expectHealed(a, b)
    expect(a.stats().pendingDelivered).toBe(1)
  })

  it('when the server is slow', async () => {
    const gate = await openGate()
    const [data, follow] = [portsOf(clientOf(gate), record.newer), portsOf(clientOf(), record.newer)]
    const a = await open('a', { redis: (role) => (role === 'data' ? data(role) : follow(role)) })
    await get(a)
    gate.delay = 120
    const miss = await timed(() => get(a, 'x'))
    expect(miss.ms).toBeGreaterThanOrEqual(READ_TIMEOUT - 10)
    expect(miss.ms).toBeLessThan(READ_TIMEOUT + SLACK)
    for (let n = 0; a.health().redis.state === 'closed'; n++) {
      expect(n).toBeLessThan(10)
      // A connection that is opened anew is not asked meanwhile.
      await until('it is attached', () => a.health().redis.attached)
      await get(a, `y${n}`)
    }
    const { remoteTimeouts } = a.stats()
    expect(remoteTimeouts).toBeGreaterThanOrEqual(3)
    // The lease goes on: the follower is answered.
    await sleep(2 * STALENESS)
    expect(a.getLocal('k')).toBe('loaded 1')
    await until('it is attached', () => a.health().redis.attached)
    gate.delay = WRITE_TIMEOUT
    const change = await timed(() => pending(a.delete('k')))
    expect(change.value).toBe('ERR_CACHE_CHANGE_PENDING')
    expect(change.ms).toBeLessThan(WRITE_TIMEOUT + SLACK)
    gate.heal()
    await until('what is pending is delivered', () => a.health().pending === 0)
    // One question of the breaker is answered.
    await until(
      'the breaker is closed',
      async () => {
        await get(a, String(Math.random()))
        return a.health().redis.state === 'closed'
      },
      2 * HEALED,
    )
    await expectHealed(a)
  })

  it('when the server is stopped, and connections stay open', async () => {
    const [a, b] = [await open('a'), await open('b')]
    await get(a)
    server.pause()
    await expectSuspension(a, 'k', READ_TIMEOUT)
    const change = await timed(() => pending(b.delete('k')))
    expect(change.value).toBe('ERR_CACHE_CHANGE_PENDING')
    expect(change.ms).toBeLessThan(WRITE_TIMEOUT + SLACK)
    server.resume()
    await expectHealed(a, b)
  })

  it.each(['empty', 'with an old RDB'])('when the server is started anew, %s', async (how) => {
    const [a, b] = [await open('a'), await open('b')]
    await get(a)
    expect(await sourceOf(b, 'k')).toBe('remote')
    if (how === 'empty') rmSync(path.join(server.folder, 'dump.rdb'), { force: true })
    else await server.ask('SAVE')
    // What the dump does not know of.
    await a.delete('k')
    await get(a)
    await server.kill()
    await server.start()
    await expectHealed(a, b)
    for (const cache of [a, b]) expect(cache.stats().clears.epoch).toBe(2)
    expect(await b.get('k')).not.toBe('loaded 1')
  })

  it.each([
    ['everything is removed', ['FLUSHALL']],
    ['the record is removed', ['DEL', record.newer]],
    ['the older generation of the record is gone', ['HSET', record.newer, 'h', '1']],
    ['the record is a string', ['SET', record.newer, 'x']],
    ['the record has no number', ['HSET', record.newer, 's', 'x']],
    ['the record has no epoch', ['HDEL', record.newer, 'g']],
    ['the record is of another server', ['HSET', record.newer, 'r', 'x']],
  ])('when %s', async (_, command) => {
    const [a, b] = [await open('a'), await open('b')]
    await get(a)
    const { epoch } = a.health().lease
    await server.ask(...command)
    // Who asks notices, and so does who follows.
    const change = await timed(() => pending(b.delete('x')))
    expect(change.ms).toBeLessThan(SLACK)
    const source = await timed(() => sourceOf(b, 'k'))
    expect(source.ms).toBeLessThan(SLACK)
    await until('there is another epoch', () => a.health().lease.epoch > epoch)
    await expectHealed(a, b)
    expect(a.stats().clears.epoch).toBe(2)
  })

  it('when the log is trimmed, or is no log: only who is behind loses what it holds', async () => {
    const gate = await openGate()
    const [a, b] = [await open('a', { redis: clientOf(gate) }), await open('b')]
    await get(a)
    await server.ask('XTRIM', record.log, 'MAXLEN', '0')
    await b.delete('x')
    await until('it is told', () => a.stats().changesApplied >= 1)
    expect(a.getLocal('k')).toBe('loaded 1')
    expect(a.stats().clears.gap).toBe(0)
    gate.isFrozen = true
    await b.delete('y')
    await server.ask('SET', record.log, 'x')
    gate.heal()
    await until('there is a gap', () => a.stats().clears.gap === 1)
    await expectHealed(a, b)
    expect(a.stats().clears.epoch).toBe(1)
  })

  it('when the server has no memory left', async () => {
    const [a, b] = [await open('a'), await open('b')]
    await get(a)
    await server.ask('CONFIG', 'SET', 'maxmemory', '1')
    expect(await pending(a.delete('x'))).toBe('ERR_CACHE_CHANGE_PENDING')
    expect(await sourceOf(b, 'k')).toBe('remote')
    // Its own change is missing there: it does not believe what is.
    expect(await sourceOf(a, 'z')).toBe('load')
    await sleep(2 * STALENESS)
    // The lease goes on.
    for (const cache of [a, b]) expect(cache.getLocal('k')).toBe('loaded 1')
    await server.ask('CONFIG', 'SET', 'maxmemory', '0')
    await expectHealed(a, b)
  })

  it('when it may not write any more', async () => {
    await server.ask('ACL', 'SETUSER', 'tier', 'reset', 'on', 'nopass', '~*', '+@all')
    const redis = new Redis({
      path: server.unixSocket ?? '',
      username: 'tier',
      password: 'x',
      lazyConnect: true,
    })
    const a = await open('a', { redis })
    await get(a)
    await server.ask('ACL', 'SETUSER', 'tier', '-hincrby', '-set')
    expect(await pending(a.delete('x'))).toBe('ERR_CACHE_CHANGE_PENDING')
    await sleep(2 * STALENESS)
    expect(a.getLocal('k')).toBe('loaded 1')
    await server.ask('ACL', 'SETUSER', 'tier', '+@all')
    await expectHealed(a)
  })

  it('when the server becomes a replica', async () => {
    const other = await startServer(kind, { port: 0 })
    try {
      const a = await open('a')
      await get(a)
      await server.ask('REPLICAOF', '127.0.0.1', String(other.port))
      expect(await pending(a.delete('x'))).toBe('ERR_CACHE_CHANGE_PENDING')
      await expectSuspension(a, 'k', READ_TIMEOUT)
      await server.ask('REPLICAOF', 'NO', 'ONE')
      await expectHealed(a)
    } finally {
      await other.stop()
    }
  })

  it('when one process is cut off: it catches up by the log', async () => {
    const gate = await openGate()
    const [a, b] = [await open('a', { redis: clientOf(gate) }), await open('b')]
    await get(a)
    await get(a, 'kept')
    gate.isFrozen = true
    const changed = performance.now()
    await b.delete('k')
    await until('what was changed is not served', () => a.getLocal('k') === undefined, STALENESS + SLACK)
    expect(performance.now() - changed).toBeLessThan(STALENESS + SLACK)
    await until('the lease ends', () => a.state === 'suspended', STALENESS + SLACK)
    expect(a.getLocal('kept')).toBeUndefined()
    gate.heal()
    await until('all is well again', () => isWell(a))
    expect(a.getLocal('k')).toBeUndefined()
    expect(a.getLocal('kept')).toBe('loaded 2')
    expect(a.stats().clears).toMatchObject({ epoch: 1, gap: 0 })
    await expectHealed(a, b)
  })

  it('when one process is cut off for more changes than the log keeps', async () => {
    const gate = await openGate()
    const [a, b] = [await open('a', { redis: clientOf(gate) }), await open('b', { writeTimeout: 20_000 })]
    await get(a)
    gate.isFrozen = true
    for (let n = 0; n < 85; n++) {
      await Promise.all(Array.from({ length: 200 }, () => pending(b.delete('x'))))
    }
    expect(b.stats().changes).toBeGreaterThan(16_500)
    gate.heal()
    await until('it is cleared', () => a.stats().clears.gap === 1)
    await expectHealed(a, b)
  }, 60_000)

  it('when a process stands still for longer than its lease: the first read after is a miss', async () => {
    const a = await open('a')
    await get(a)
    expect(a.getLocal('k')).toBe('loaded 1')
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, STALENESS + 50)
    expect(a.getLocal('k')).toBeUndefined()
    await until('it is held again', () => a.getLocal('k') === 'loaded 1')
  })

  it('when the scripts are forgotten', async () => {
    const a = await open('a')
    await get(a)
    for (let n = 0; n < 3; n++) {
      await server.ask('SCRIPT', 'FLUSH')
      expect(await sourceOf(a, `x${n}`)).toBe('load')
      await server.ask('SCRIPT', 'FLUSH')
      expect(await pending(a.delete('x'))).toBe('acknowledged')
    }
    expect(a.getLocal('k')).toBe('loaded 1')
    expect(a.stats()).toMatchObject({ remoteErrors: 0, pendingAdded: 0 })
  })

  it('when all connections are ended, again and again', async () => {
    const [a, b] = [await open('a'), await open('b')]
    for (let n = 0; n < 3; n++) {
      await server.ask('CLIENT', 'KILL', 'TYPE', 'normal')
      await sleep(100)
    }
    await expectHealed(a, b)
    expect(a.stats().clears.epoch).toBe(1)
  })

  describe('when anything is written under its keys', () => {
    /** What is there is not believed: a miss of either kind, and it counts. */
    async function expectRefused(cache: TieredCache<unknown>, key: string) {
      const { remoteRefused } = cache.stats()
      expect(await cache.get(key)).toBeUndefined()
      expect(await cache.get(key)).toBeUndefined()
      expect(cache.stats().remoteRefused).toBeGreaterThan(remoteRefused)
      const before = loads
      expect(await get(cache, key)).toBe(`loaded ${before + 1}`)
      expect(await get(cache, key)).toBe(`loaded ${before + 1}`)
      expect(loads).toBe(before + 1)
    }

    /** Sets bytes, which the server's own command line cannot. */
    async function put(raw: Redis, key: string, bytes: Uint8Array) {
      await raw.set(entry(key), Buffer.from(bytes), 'PX', 60_000)
    }

    it.each([
      ['a list', ['LPUSH', entry('k'), 'x']],
      ['a hash', ['HSET', entry('k'), 'x', 'y']],
      ['a set', ['SADD', entry('k'), 'x']],
      ['a sorted set', ['ZADD', entry('k'), '1', 'x']],
      ['a stream', ['XADD', entry('k'), '*', 'x', 'y']],
      ['a text', ['SET', entry('k'), 'hello']],
      ['an empty text', ['SET', entry('k'), '']],
    ])('%s', async (_, command) => {
      const a = await open('a')
      await server.ask(...command)
      await expectRefused(a, 'k')
    })

    it('bytes that are no entry, or a forged one', async () => {
      const a = await open('a')
      const raw = clientOf()
      await raw.connect()
      try {
        const { epoch, sequence } = a.health().lease
        const whole = (payload: Uint8Array, more = {}) =>
          encodeEntry({
            at: [epoch, sequence],
            ttl: 60_000,
            grace: 0,
            tags: ['t', 'u'],
            payload,
            encoding: 0,
            ...more,
          })
        const { payload, encoding } = payloadOf('"forged"', 0)
        const good = whole(payload, { encoding })
        // It would be believed, as it is.
        await put(raw, 'good', good)
        expect(await a.get('good')).toBe('forged')

        const at = (place: number, ...bytes: number[]) => {
          const other = Buffer.from(good)
          other.set(bytes, place)
          return other
        }
        const bad: [string, Buffer][] = [
          ['cut off in the head', good.subarray(0, 20)],
          ['cut off in the tags', good.subarray(0, 37)],
          ['a version to come', at(0, 2)],
          ['another serializer', at(1, 0x10)],
          ['compressed', at(1, 0x04)],
          ['of a later moment', whole(payload, { at: [epoch, sequence + 1_000] })],
          ['of another epoch', whole(payload, { at: [epoch + 1, 0] })],
          ['of a life beyond numbers', at(18, 255, 255, 255, 255, 255, 255, 255, 255)],
          ['of a grace beyond numbers', at(26, 255, 255, 255, 255, 255, 255, 255, 255)],
          ['of more tags than there are', at(34, 255)],
          ['of a tag that is too long', at(35, 255)],
          ['of a tag without a length', at(35, 0)],
          ['of a tag of another kind', at(36, 61)],
          ['no JSON', whole(Buffer.from('{"a":'))],
          ['no text', whole(Buffer.from([0xff, 0xfe, 0x80]))],
          ['nothing', whole(Buffer.alloc(0))],
        ]
        for (const [what, bytes] of bad) {
          await put(raw, what, bytes)
          await expectRefused(a, what)
        }
      } finally {
        raw.disconnect()
      }
    })

    it('thousands of mangled entries: no call fails but by what its value is', async () => {
      const a = await open('a', { ttl: 1_000 })
      const raw = clientOf()
      await raw.connect()
      try {
        const { epoch, sequence } = a.health().lease
        const { payload, encoding } = payloadOf('{"is":"true"}', 0)
        const good = encodeEntry({
          at: [epoch, sequence],
          encoding,
          ttl: 60_000,
          grace: 0,
          tags: ['t', 'u'],
          payload,
        })
        for (let n = 0; n < 2_000; n++) {
          const bytes = Buffer.from(good)
          for (let m = 0; m < 1 + (n % 3); m++)
            bytes[Math.floor(Math.random() * bytes.length)] = Math.floor(Math.random() * 256)
          const end = n % 5 === 0 ? Math.floor(Math.random() * bytes.length) : bytes.length
          await put(raw, `m${n}`, bytes.subarray(0, end))
          if (n % 2 === 0) await a.get(`m${n}`)
          expect(await a.getOrSet(`m${n}`, () => 'loaded')).toBeDefined()
          a.getLocal(`m${n}`)
        }
        expect(a.stats().remoteRefused).toBeGreaterThan(100)
        expect(isWell(a)).toBe(true)
      } finally {
        raw.disconnect()
      }
    })
  })
})

it.skipIf(kinds.length > 0)(
  'is not known without a server: there is neither Redis 7.0 nor Valkey 8.1',
  () => {},
)
