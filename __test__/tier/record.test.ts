import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import type { Moment } from '../../src/engine/capabilities.js'
import type { RedisPort } from '../../src/tier/clients/port.js'
import { encodeEntry } from '../../src/tier/envelope.js'
import { keysOf } from '../../src/tier/names.js'
import type { RecordHit, RecordMiss, RecordReply } from '../../src/tier/record.js'
import { RecordClient } from '../../src/tier/record-client.js'
import { RecordError } from '../../src/tier/record-error.js'
import { describeServers, openPort, textOf } from '../support/redis.js'

const NONE: Moment = [0, 0]
const keys = keysOf('ns')
const payload = Buffer.from('{"a":1}')

function entry(at: Moment, tags: readonly string[] = [], ttl = 60_000): Buffer {
  return encodeEntry({ at, encoding: 0, ttl, grace: 0, tags, payload })
}

describeServers('the record', (server, kind) => {
  let port: RedisPort
  let record: RecordClient
  let at: Moment

  beforeAll(async () => {
    port = await openPort(server())
  })
  afterAll(() => port.close())
  beforeEach(async () => {
    await port.send(['FLUSHALL'])
    record = new RecordClient(port, 'ns')
    at = await record.attach(NONE)
  })

  const command = async (...words: (string | Uint8Array)[]) => textOf(await port.send(words))
  const now = () => Date.now()
  const failure = (promise: Promise<unknown>) =>
    promise.then(
      () => 'none',
      (error: unknown) => (error instanceof RecordError ? error.failure : error),
    )
  const read = (key = 'k') => record.read(key, { check: false })
  const reasonOf = (reply: RecordReply) => (reply.kind === 'miss' ? reply.reason : reply.kind)
  const put = (proof: Moment, tags: readonly string[] = [], key = 'k') =>
    record.fill(key, entry(proof, tags), now() + 60_000)

  it('begins an epoch, and keeps it for others', async () => {
    expect(at[1]).toBe(0)
    expect(Math.floor(at[0] / 2 ** 26)).toBe(1)
    expect(await record.attach(NONE)).toEqual(at)
    expect(await record.attach(at)).toEqual(at)
  })

  it('finds nothing, tells the time, and then what was filled', async () => {
    const miss = (await read()) as RecordMiss
    expect(miss).toMatchObject({ kind: 'miss', at, reason: 'absent' })
    expect(Math.abs(miss.time - now())).toBeLessThan(5000)
    await record.fill('k', entry(miss.at, ['t', 'ü']), miss.time + 50_000)
    const hit = (await read()) as RecordHit
    expect(hit).toMatchObject({ kind: 'hit', at, ttl: 60_000, grace: 0, encoding: 0, tags: ['t', 'ü'] })
    expect(hit.payload.equals(payload)).toBe(true)
    expect(hit.left).toBeGreaterThan(20_000)
    expect(hit.left).toBeLessThanOrEqual(50_000)
  })

  it('lets no entry live longer than it was to', async () => {
    await record.fill(
      'k',
      encodeEntry({ at, encoding: 0, ttl: 100, grace: 20, tags: [], payload }),
      now() + 60_000,
    )
    expect((await read()) as RecordHit).toMatchObject({ left: 120 })
    await record.fill('k', entry(at), now() - 60_000)
    expect(reasonOf(await read())).toBe('absent')
  })

  it.each([
    ['its key', ['=k']],
    ['a tag', ['#t']],
    ['everything', ['c']],
    ['another and its key', ['=x', '=k']],
  ])('believes no entry after a change of %s, whoever fills it', async (_, names) => {
    await put(at, ['t', 'u'])
    expect((await read()).kind).toBe('hit')
    const change = await record.change(names, [], false)
    expect(change.at).toEqual([at[0], 1])
    await put(at, ['t', 'u'])
    const miss = (await read()) as RecordMiss
    expect(miss).toMatchObject({ kind: 'miss', reason: 'changed', at: [at[0], 1] })
    await put(miss.at, ['t', 'u'])
    expect((await read()).kind).toBe('hit')
  })

  it('goes on believing what a change is not of', async () => {
    await put(at, ['t'])
    await record.change(['=kk', '#tt', '#k', '=t'], [], false)
    expect((await read()).kind).toBe('hit')
  })

  it('believes no proof of the future or of another epoch', async () => {
    await put([at[0], 1])
    expect(reasonOf(await read())).toBe('changed')
    await put([at[0] + 1, 0])
    expect(reasonOf(await read())).toBe('changed')
  })

  it('removes the entries of changed keys and counts them', async () => {
    await put(at, [], 'a')
    await put(at, [], 'b')
    expect((await record.change(['=a', '=b', '=none', '#t'], [], false)).removed).toBe(2)
    expect(await command('EXISTS', `${keys.entry}a`, `${keys.entry}b`)).toBe(0)
  })

  it('tells when what is compared changed before', async () => {
    const before = async (...compared: string[]) => (await record.change(['=k'], compared, false)).before
    expect(await before('=k', '#t')).toBe(0)
    expect(await before('=k', '#t')).toBe(1)
    expect(await before('#t')).toBe(0)
    await record.change(['#t'], [], false)
    expect(await before('=z', '#t')).toBe(4)
    await record.change(['c'], [], false)
    expect(await before()).toBe(6)
  })

  it('takes as many names as there are', async () => {
    const names = Array.from({ length: 20_000 }, (_, at) => `${at % 2 ? '=' : '#'}${at}`)
    await put(at, [], '1')
    expect(await record.change([...names, '=1'], names, false)).toMatchObject({ removed: 1, before: 0 })
    expect(await record.change(['#new'], names, false)).toMatchObject({ before: 1, at: [at[0], 2] })
    const { events } = await record.follow(at, 10, false)
    expect(events[0]?.names).toEqual([...names, '=1'])
  })

  it('keeps two generations of names, and forgets what is older by the floor', async () => {
    record = new RecordClient(port, 'ns', { fields: 5, log: 1000 })
    await record.change(['=old'], [], false)
    for (let n = 0; n < 4; n++) await record.change([`=a${n}`], [], false)
    await put([at[0], 5], ['u'])
    await put([at[0], 0], [], 'early')
    await record.change(['=a4'], [], false)
    expect(await command('HMGET', keys.newer, 's', 'b', 'f', 'h')).toEqual(['6', '6', '0', '1'])
    expect((await read()).kind).toBe('hit')
    expect((await read('early')).kind).toBe('hit')
    await put([at[0], 0], [], 'old')
    expect(reasonOf(await read('old'))).toBe('changed')
    expect((await record.change(['#x'], ['=old'], false)).before).toBe(1)
    for (let n = 0; n < 5; n++) await record.change([`=b${n}`], [], false)
    expect(await command('HMGET', keys.newer, 's', 'b', 'f')).toEqual(['12', '12', '6'])
    expect(reasonOf(await read())).toBe('changed')
    expect(reasonOf(await read('early'))).toBe('changed')
    expect((await record.change(['#x'], ['=old'], false)).before).toBe(6)
  })

  it.each(['DEL', 'text'])('knows no record without its older generation (%s)', async (how) => {
    record = new RecordClient(port, 'ns', { fields: 1, log: 1000 })
    await record.change(['=a', '=b'], [], false)
    await put([at[0], 1])
    expect((await read()).kind).toBe('hit')
    await command('DEL', keys.older)
    if (how === 'text') await command('SET', keys.older, 'x')
    expect(await failure(read())).toBe('detached')
    expect(await failure(record.change(['=a'], ['=b'], false))).toBe('detached')
    const next = await record.attach([at[0], 1])
    expect(next[0]).toBeGreaterThan(at[0])
    expect(next[1]).toBe(0)
    expect(reasonOf(await read())).toBe('changed')
  })

  it.each([
    ['gone', (key: string) => ['DEL', key]],
    ['text', (key: string) => ['SET', key, 'x']],
    ['without a number', (key: string) => ['HSET', key, 's', 'x']],
    ['without a floor', (key: string) => ['HSET', key, 'f', '']],
    ['at its end', (key: string) => ['HSET', key, 's', '9223372036854775807']],
    ['of an unknown epoch', (key: string) => ['HSET', key, 'g', '12x']],
  ])('begins a new epoch where the record is %s', async (_, spoil) => {
    await command(...spoil(keys.newer))
    const failed = [
      failure(read()),
      failure(record.change(['=a'], [], false)),
      failure(record.follow(at, 5, false)),
    ]
    for (const each of await Promise.all(failed)) expect(['detached', 'unavailable', 'none']).toContain(each)
    const next = await record.attach(at)
    expect(next[0]).toBeGreaterThan(at[0])
    expect(await record.change(['=a'], ['=b'], true)).toMatchObject({ at: [next[0], 1], before: 0 })
    expect((await record.follow(next, 5, true)).events).toEqual([{ sequence: 1, names: ['=a'] }])
    expect((await read()).kind).toBe('miss')
  })

  it('begins a new epoch above all that anybody has seen', async () => {
    await record.change(['=a'], [], false)
    // It lost a change that was acknowledged.
    const second = await record.attach([at[0], 2])
    expect(Math.floor(second[0] / 2 ** 26)).toBe(2)
    // It lost an epoch.
    const third = await record.attach([7 * 2 ** 26 + 5, 0])
    expect(Math.floor(third[0] / 2 ** 26)).toBe(8)
    // It is newer than what the caller saw.
    expect(await record.attach([at[0], 99])).toEqual(third)
    expect(await failure(record.attach([2 ** 53 - 1, 0]))).toBe('refused')
  })

  it('compares the identity of the server if it is to', async () => {
    await put(at)
    expect((await record.read('k', { check: true })).kind).toBe('hit')
    await command('HSET', keys.newer, 'r', 'other')
    expect(await failure(record.read('k', { check: true }))).toBe('detached')
    expect(await failure(record.change(['=k'], [], true))).toBe('detached')
    expect(await failure(record.follow(at, 10, true))).toBe('detached')
    expect((await read()).kind).toBe('hit')
    expect((await record.follow(at, 10, false)).at).toEqual(at)
    expect((await record.attach(at))[0]).toBeGreaterThan(at[0])
  })

  it('does not work on a replica', async () => {
    await command('REPLICAOF', '127.0.0.1', '1')
    try {
      expect(await failure(record.attach(at))).toBe('detached')
      expect(await failure(record.change(['=k'], [], false))).toBe('detached')
      expect(await failure(record.read('k', { check: true }))).toBe('detached')
      expect(await failure(record.follow(at, 1, true))).toBe('detached')
      expect(await failure(put(at))).toBe('detached')
    } finally {
      await command('REPLICAOF', 'NO', 'ONE')
    }
    // It was promoted: its history is another.
    expect(await failure(record.follow(at, 1, true))).toBe('detached')
    expect((await record.attach(at))[0]).toBeGreaterThan(at[0])
  })

  it('tells the changes in order', async () => {
    await record.change(['=a'], [], false)
    await record.change(['#t', '=ü', 'c'], [], false)
    await record.change(['c'], [], false)
    expect(await record.follow(at, 10, false)).toEqual({
      at: [at[0], 3],
      events: [
        { sequence: 1, names: ['=a'] },
        { sequence: 2, names: ['#t', '=ü', 'c'] },
        { sequence: 3, names: ['c'] },
      ],
      more: false,
    })
    expect(await record.follow([at[0], 2], 10, false)).toMatchObject({
      events: [{ sequence: 3 }],
      more: false,
    })
    expect(await record.follow([at[0], 3], 10, false)).toEqual({ at: [at[0], 3], events: [], more: false })
    expect(await record.follow([at[0] + 1, 0], 10, false)).toEqual({
      at: [at[0], 3],
      events: [],
      more: false,
    })
    expect(await record.follow([at[0], 9], 10, false)).toEqual({ at: [at[0], 3], events: [], more: false })
  })

  it('tells that there is more only of a full batch', async () => {
    for (let n = 0; n < 4; n++) await record.change([`=${n}`], [], false)
    expect(await record.follow(at, 3, false)).toMatchObject({ more: true, events: { length: 3 } })
    expect(await record.follow([at[0], 3], 3, false)).toMatchObject({ more: false, events: { length: 1 } })
    expect(await record.follow(at, 4, false)).toMatchObject({ more: false, events: { length: 4 } })
    await command('XTRIM', keys.log, 'MAXLEN', '1')
    expect(await record.follow(at, 1, false)).toEqual({ at: [at[0], 4], events: [], more: false })
    await command('DEL', keys.log)
    expect(await record.follow(at, 1, false)).toEqual({ at: [at[0], 4], events: [], more: false })
    await command('SET', keys.log, 'x')
    expect(await record.follow(at, 1, false)).toEqual({ at: [at[0], 4], events: [], more: false })
    expect(await command('EXISTS', keys.log)).toBe(0)
  })

  it.each([
    ['is of another type', ['SET', keys.log, 'x']],
    ['is ahead', ['XADD', keys.log, '99-0', 'e', 'x']],
  ])('makes a change where the log %s', async (_, spoil) => {
    await command('DEL', keys.log)
    await command(...spoil)
    expect((await record.change(['=a'], [], false)).at).toEqual([at[0], 1])
    expect((await record.follow(at, 10, false)).events).toEqual([{ sequence: 1, names: ['=a'] }])
  })

  it('bounds the log', async () => {
    record = new RecordClient(port, 'ns', { fields: 100, log: 50 })
    for (let n = 0; n < 400; n++) await record.change(['c'], [], false)
    expect(Number(await command('XLEN', keys.log))).toBeLessThan(250)
  })

  it.each([
    ['', Buffer.alloc(0)],
    ['34 bytes', Buffer.alloc(34, 1)],
    ['another version', Buffer.concat([Buffer.of(2), Buffer.alloc(60)])],
    ['tags beyond its end', Buffer.concat([Buffer.of(1), Buffer.alloc(33), Buffer.of(3, 9, 35, 1)])],
    ['a tag of 0 bytes', Buffer.concat([Buffer.of(1), Buffer.alloc(33), Buffer.of(1, 0, 35, 1)])],
    ['a tag that is none', Buffer.concat([Buffer.of(1), Buffer.alloc(33), Buffer.of(1, 2, 61, 65, 66)])],
    ['numbers beyond all', Buffer.concat([Buffer.of(1, 0), Buffer.alloc(32, 255), Buffer.of(0)])],
  ])('makes a miss of what is no entry: %s', async (_, bytes) => {
    await command('SET', `${keys.entry}k`, bytes, 'PX', '60000')
    expect(reasonOf(await read())).toBe('unknown')
  })

  it('makes a miss of a key of another type, and of one without a deadline', async () => {
    await command('LPUSH', `${keys.entry}k`, 'x')
    expect(reasonOf(await read())).toBe('unknown')
    await command('DEL', `${keys.entry}k`)
    await command('SET', `${keys.entry}k`, entry(at))
    expect(reasonOf(await read())).toBe('unknown')
    expect((await record.change(['=k'], [], false)).removed).toBe(1)
  })

  it('takes 128 tags', async () => {
    const tags = Array.from({ length: 128 }, (_, at) => `t${at}`)
    await put(at, tags)
    expect(((await read()) as RecordHit).tags).toEqual(tags)
    await record.change(['#t127'], [], false)
    expect(reasonOf(await read())).toBe('changed')
  })

  it('gives a lease to one, and ends it with what was loaded', async () => {
    const ask = (token: string) => record.read('k', { check: false, lease: { token, ms: 30_000 } })
    expect((await ask('a')).kind).toBe('miss')
    const busy = await ask('b')
    expect(busy.kind).toBe('busy')
    if (busy.kind === 'busy') expect(busy.left).toBeGreaterThan(10_000)
    await record.land('k', 'b', undefined, 0)
    expect((await ask('c')).kind).toBe('busy')
    await record.land('k', 'a', entry(at), now() + 60_000)
    expect((await ask('c')).kind).toBe('hit')
    expect(await command('EXISTS', `${keys.lease}k`)).toBe(0)
    await record.change(['=k'], [], false)
    expect((await ask('c')).kind).toBe('miss')
    await record.land('k', 'c', undefined, 0)
    expect((await ask('d')).kind).toBe('miss')
  })

  it('waits for no lease that does not end', async () => {
    for (const set of [
      ['SET', `${keys.lease}k`, 'x'],
      ['LPUSH', `${keys.lease}k`, 'x'],
    ]) {
      await command('DEL', `${keys.lease}k`)
      await command(...set)
      expect((await record.read('k', { check: false, lease: { token: 'a', ms: 1000 } })).kind).toBe('miss')
    }
    await record.land('k', 'a', entry(at), now() + 60_000)
    expect((await read()).kind).toBe('hit')
  })

  it('rings when there is a change', async () => {
    const other = await openPort(server())
    try {
      const waiting = new RecordClient(other, 'ns')
      const began = performance.now()
      await waiting.wait(30, at)
      expect(performance.now() - began).toBeGreaterThan(20)
      const rung = waiting.wait(20_000, at)
      await record.change(['=a'], [], false)
      await rung
      await waiting.wait(20_000, at)
      expect(performance.now() - began).toBeLessThan(15_000)
    } finally {
      other.close()
    }
  })

  it('sends scripts anew to a server that lost them', async () => {
    await command('SCRIPT', 'FLUSH')
    expect((await read()).kind).toBe('miss')
    expect(await record.change(['=a'], [], false)).toMatchObject({ removed: 0 })
  })

  it('says what a server without memory cannot do, and reads on', async () => {
    await put(at)
    await command('CONFIG', 'SET', 'maxmemory', '1')
    try {
      expect((await read()).kind).toBe('hit')
      expect((await read('other')).kind).toBe('miss')
      expect((await record.read('other', { check: false, lease: { token: 'a', ms: 1000 } })).kind).toBe(
        'miss',
      )
      expect(await failure(record.change(['=k'], [], false))).toBe('unavailable')
      expect(await failure(put(at))).toBe('unavailable')
      expect(await failure(record.land('k', 'a', entry(at), now() + 1000))).toBe('unavailable')
      expect((await record.follow(at, 1, true)).at).toEqual(at)
    } finally {
      await command('CONFIG', 'SET', 'maxmemory', '0')
    }
  })

  it('needs no more rights than are documented', async () => {
    const rules =
      '~{sc1:ns}:* resetchannels -@all +hello +auth +ping +eval +evalsha +info +time +xread +set +get +pttl +hget ' +
      '+hmget +hset +hincrby +hlen +unlink +xadd +xrange +rename'
    await command('ACL', 'SETUSER', 'tier', 'reset', 'on', '>secret', ...rules.split(' '))
    await command('SCRIPT', 'FLUSH')
    const limited = await openPort(server(), { username: 'tier', password: 'secret' })
    try {
      record = new RecordClient(limited, 'ns', { fields: 3, log: 100 })
      let seen = await record.attach([at[0], 1])
      expect(seen[0]).toBeGreaterThan(at[0])
      for (let n = 0; n < 10; n++) seen = (await record.change([`=${n}`, '#t', 'c'], ['=x'], true)).at
      expect(await record.attach(seen)).toEqual(seen)
      expect((await record.read('k', { check: true, lease: { token: 'a', ms: 1000 } })).kind).toBe('miss')
      expect((await record.read('k', { check: true, lease: { token: 'b', ms: 1000 } })).kind).toBe('busy')
      await record.land('k', 'a', entry(seen, ['t']), now() + 1000)
      await record.fill('k', entry(seen, ['t']), now() + 60_000)
      expect((await read()).kind).toBe('hit')
      await command('SET', keys.log, 'x')
      await record.follow([seen[0], 1], 100, true)
      await command('SET', keys.log, 'x')
      seen = (await record.change(['=k'], [], true)).at
      expect((await record.follow([seen[0], seen[1] - 1], 100, true)).events.length).toBe(1)
      await record.wait(1, [seen[0], 0])
      expect(await failure(new RecordClient(limited, 'other').attach(NONE))).toBe('refused')
    } finally {
      limited.close()
      await command('ACL', 'DELUSER', 'tier')
    }
  })

  it(`is read from ${kind} with whatever is in its log`, async () => {
    const events = [Buffer.of(1), Buffer.of(0), Buffer.of(2, 61), Buffer.from('\x01x'), Buffer.of(1, 99, 9)]
    for (const event of events) {
      await command('DEL', keys.log)
      const { at: after } = await record.change(['=a'], [], false)
      await command('DEL', keys.log)
      await command('XADD', keys.log, `${after[1]}-0`, 'e', event)
      expect(await record.follow([after[0], after[1] - 1], 1, false)).toEqual({
        at: after,
        events: [],
        more: false,
      })
    }
  })
})
