import { describe, expect, it } from 'vitest'
import type { TierControl } from '../../src/engine/capabilities.js'
import { type Engine, type EngineOptions, Outcome } from '../../src/engine/engine.js'
import { openEngine } from '../../src/engine/open.js'
import { openNear } from '../../src/near/open.js'
import { engines, thrown, uniqueName } from '../support/engines.js'

const DAY = 24 * 3_600_000

const tierOf = (engine: Engine) => engine.tier as TierControl

describe.each(engines)('the tier control of the %s engine', (kind) => {
  /** A tiered engine, a clock to move its time with, and its control. */
  function open(options: EngineOptions = {}) {
    const clock = { ms: 5_000, now: () => clock.ms }
    const engine = openEngine({ clock, tiered: true, ...options }, kind)
    return { engine, clock, tier: tierOf(engine) }
  }

  /** One that holds a lease of 100 ms. */
  function held(options: EngineOptions = {}) {
    const all = open(options)
    all.tier.saw(7, 1)
    all.tier.extend(7, all.tier.time() + 100)
    return all
  }

  /** What each read finds of `k`. */
  const reads: Record<string, (engine: Engine) => unknown> = {
    get: (engine) => engine.get('k'),
    peek: (engine) => engine.peek('k'),
    has: (engine) => engine.has('k') || undefined,
    getMany: (engine) => engine.getMany(['k'])[0],
    hasMany: (engine) => engine.hasMany(['k'])[0] || undefined,
    getStale: (engine) => engine.getStale('k'),
    isDue: (engine) => engine.isDue('k', 1) || undefined,
    remainingTtl: (engine) => engine.remainingTtl('k') || undefined,
    keys: (engine) => [...engine.keys()][0],
    walk: (engine) => [...engine.walk()][0]?.[0]?.key,
    toRecords: (engine) => [...engine.toRecords(10)][0]?.count,
    peekFenced: (engine) => engine.peekFenced('k')[0],
  }

  it('is there in a tiered cache alone', () => {
    const plain = openEngine({}, kind)
    expect(plain.tier).toBe(undefined)
    plain.close()
    const { engine, tier } = open()
    expect(tier.heldUntil()).toBe(0)
    expect([tier.seen(), tier.position(), tier.pendingCount()]).toEqual([[0, 0], [0, 0], 0])
    engine.close()
  })

  it.each(Object.keys(reads))('%s finds nothing while no lease is held, and removes nothing', (name) => {
    const read = reads[name] as (engine: Engine) => unknown
    const { engine, clock, tier } = open()
    engine.set('k', '1', 60_000)
    expect([read(engine), engine.size()]).toEqual([undefined, 1])
    tier.saw(7, 1)
    tier.extend(7, tier.time() + 100)
    expect(read(engine)).not.toBe(undefined)
    clock.ms += 99
    expect(read(engine)).not.toBe(undefined)
    clock.ms += 1
    expect([read(engine), engine.size()]).toEqual([undefined, 1])
    tier.extend(7, tier.time() + 1)
    expect(read(engine)).not.toBe(undefined)
    tier.suspend()
    expect([read(engine), engine.size()]).toEqual([undefined, 1])
    engine.close()
  })

  it('a refused read counts as a miss', () => {
    const { engine, tier } = held()
    engine.set('k', '1')
    engine.get('k')
    tier.suspend()
    engine.get('k')
    expect(engine.stats()).toMatchObject({ hits: 1, misses: 1 })
    engine.close()
  })

  it('changes work on what is held while no lease is', () => {
    const { engine, tier } = held()
    for (const key of ['kept', 'deleted', 'taken', 'tagged', 'renewed']) {
      engine.set(key, '1', 1_000, undefined, key === 'tagged' ? ['t'] : undefined)
    }
    const before = engine.fence()
    tier.suspend()
    expect(engine.delete('deleted')).toBe(true)
    expect(engine.delete('nothing')).toBe(false)
    expect(engine.take('taken')).toBe(undefined)
    engine.invalidateTag('t')
    expect(engine.touch('renewed', 5_000)).toBe(true)
    expect(engine.set('loaded', '2', 1_000, before)).toBe(Outcome.Stored)
    expect(engine.set('deleted', 'old', 1_000, before)).toBe(Outcome.Fenced)
    tier.extend(7, tier.time() + 100)
    expect(engine.getMany(['kept', 'deleted', 'taken', 'tagged', 'loaded'])).toEqual([
      '1',
      undefined,
      undefined,
      undefined,
      '2',
    ])
    expect(engine.remainingTtl('renewed')).toBe(5_000)
    tier.suspend()
    engine.clear()
    tier.extend(7, tier.time() + 200)
    expect([engine.get('kept'), engine.size()]).toEqual([undefined, 0])
    engine.close()
  })

  it('what is to be stored where there is nothing is stored while nothing can be read', () => {
    const { engine, tier } = held()
    engine.set('k', '1')
    engine.set('n', '1')
    expect(engine.setIfAbsent('k', '2')).toBe(Outcome.Present)
    tier.suspend()
    expect(engine.setIfAbsent('k', '3')).toBe(Outcome.Stored)
    expect(engine.increment('n', 5)).toBe(5)
    tier.extend(7, tier.time() + 100)
    expect(engine.getMany(['k', 'n'])).toEqual(['3', '5'])
    expect(engine.increment('n', 5)).toBe(10)
    engine.close()
  })

  it('copies are read only while a lease is held', () => {
    const { engine, clock, tier } = held()
    for (let n = 0; n < 300; n++) engine.set(`k${n}`, `{"n":${n}}`)
    const near = openNear<{ n: number }>(engine, {}, (stored) => JSON.parse(stored as string))
    for (let turn = 0; turn < 10_000; turn++) expect(near.get('k1')?.n).toBe(1)
    near.flush()
    expect(engine.stats().nearHits).toBeGreaterThan(9_000)
    clock.ms += 100
    expect([near.get('k1'), near.peek('k1')]).toEqual([undefined, undefined])
    tier.extend(7, tier.time() + 100)
    expect(near.get('k1')?.n).toBe(1)
    expect(near.get('k1')?.n).toBe(1)
    tier.suspend()
    expect([near.get('k1'), near.peek('k1')]).toEqual([undefined, undefined])
    tier.extend(7, tier.time() + 100)
    expect([near.get('k1')?.n, near.peek('k1')?.n]).toEqual([1, 1])
    near.clear()
    engine.close()
  })

  it('an entry has a deadline, whatever TTL it is given', () => {
    const { engine } = held()
    for (const ttl of [undefined, Infinity, 31 * DAY, 2 ** 50]) {
      engine.set('k', '1', ttl)
      expect(engine.remainingTtl('k'), `${ttl}`).toBe(30 * DAY)
    }
    engine.set('k', '1', 10)
    expect(engine.touch('k', Infinity)).toBe(true)
    expect(engine.remainingTtl('k')).toBe(30 * DAY)
    engine.increment('n', 1)
    expect(engine.remainingTtl('n')).toBe(30 * DAY)
    engine.close()
  })

  it('a namespace has the lease of its cache', () => {
    const { engine, tier } = held()
    const namespace = engine.namespace('n')
    namespace.set('k', '1')
    expect(namespace.get('k')).toBe('1')
    tier.suspend()
    expect(namespace.get('k')).toBe(undefined)
    tierOf(namespace).extend(7, tier.time() + 100)
    expect([namespace.get('k'), tier.heldUntil()]).toEqual(['1', tier.time() + 100])
    engine.close()
    expect(thrown(() => tierOf(namespace).seen()).code).toBe('ERR_CACHE_CLOSED')
  })

  it('the lease is extended at the epoch that was seen last, and is never cut short by it', () => {
    const { engine, tier } = open()
    const until = tier.time() + 100
    expect([tier.extend(0, until), tier.extend(7, until), tier.heldUntil()]).toEqual([false, false, 0])
    expect(tier.saw(7, 3)).toBe(true)
    expect([tier.extend(7, until), tier.heldUntil()]).toEqual([true, until])
    expect([tier.extend(7, until - 1), tier.heldUntil()]).toEqual([true, until])
    expect([tier.saw(7, 2), tier.seen(), tier.heldUntil()]).toEqual([true, [7, 3], until])
    expect([tier.saw(7, 9), tier.seen()]).toEqual([true, [7, 9]])
    expect([tier.saw(6, 99), tier.seen(), tier.heldUntil()]).toEqual([false, [7, 9], until])
    expect([tier.saw(8, 1), tier.seen(), tier.heldUntil()]).toEqual([true, [8, 1], 0])
    expect([tier.extend(7, until), tier.heldUntil()]).toEqual([false, 0])
    expect([tier.extend(8, Infinity), tier.heldUntil()]).toEqual([true, Infinity])
    const [epoch, sequence] = [2 ** 53 - 1, 2 ** 53 - 2]
    expect([tier.saw(epoch, sequence), tier.seen()]).toEqual([true, [epoch, sequence]])
    tier.advance(epoch, sequence)
    expect(tier.position()).toEqual([epoch, sequence])
    tier.advance(8, 3)
    expect(tier.position()).toEqual([8, 3])
    engine.close()
  })

  it('a lease without an end has reads answered', () => {
    const { engine, clock, tier } = held()
    engine.set('k', '1')
    tier.extend(7, Infinity)
    clock.ms += DAY
    expect(engine.get('k')).toBe('1')
    expect(tier.time()).toBeLessThan(Infinity)
    engine.close()
  })

  it('all engines of a name share what is known, and one of them follows', () => {
    const name = uniqueName()
    const [one, other] = [openEngine({ name, tiered: true }, kind), openEngine({ name, tiered: true }, kind)]
    const [first, second] = [tierOf(one), tierOf(other)]
    first.saw(3, 4)
    second.advance(3, 2)
    first.pend(['=k'])
    expect([second.seen(), first.position(), second.pendingCount()]).toEqual([[3, 4], [3, 2], 1])
    expect([first.follow(), second.follow(), first.follow()]).toEqual([true, false, true])
    const namespace = other.namespace('n')
    expect(tierOf(namespace).follow()).toBe(false)
    one.close()
    expect([tierOf(namespace).follow(), second.follow()]).toEqual([true, false])
    namespace.close()
    expect(second.follow()).toBe(true)
    expect(thrown(() => first.follow()).code).toBe('ERR_CACHE_CLOSED')
    other.close()
    const next = openEngine({ name, tiered: true }, kind)
    expect([tierOf(next).seen(), tierOf(next).pendingCount()]).toEqual([[0, 0], 0])
    next.close()
  })

  it('what is pending is struck off by number', () => {
    const { engine, tier } = open()
    const names = ['=k', '#\ud800', '=ключ', '', '=k']
    tier.pend(names)
    const [ids, found] = tier.pending()
    expect([found, new Set(ids).size]).toEqual([names, 5])
    tier.delivered([ids[0] as number, ids[2] as number, 12_345])
    expect(tier.pending()[1]).toEqual(['#\ud800', '', '=k'])
    expect(tier.pendingCount()).toBe(3)
    tier.delivered(ids)
    expect([tier.pending(), tier.pendingCount()]).toEqual([[[], []], 0])
    engine.close()
  })

  it('of too many pending changes the removal of everything is left, of a number of its own', () => {
    const { engine, tier } = open()
    tier.pend(Array.from({ length: 1_024 }, (_, n) => `=${n}`))
    const [ids] = tier.pending()
    expect(tier.pendingCount()).toBe(1_024)
    tier.pend(['=more'])
    expect(tier.pending()[1]).toEqual(['c'])
    tier.delivered(ids)
    expect(tier.pendingCount()).toBe(1)
    tier.pend(['=k'])
    expect(tier.pending()[1]).toEqual(['c', '=k'])
    engine.close()
  })

  it('what was acknowledged lately in another epoch is pending again', () => {
    const { engine, clock, tier } = open()
    tier.acknowledged(1, ['=old'], 100)
    clock.ms += 99
    tier.acknowledged(1, ['=a', '#b'], 100)
    tier.acknowledged(2, ['=c'], 100)
    clock.ms += 1
    tier.redeliver(2)
    expect(tier.pending()[1]).toEqual(['=a', '#b'])
    tier.redeliver(2)
    expect(tier.pendingCount()).toBe(2)
    tier.redeliver(3)
    expect(tier.pending()[1]).toEqual(['=a', '#b', '=c'])
    engine.close()
  })

  it('of many acknowledged changes the removal of everything is kept, for each epoch', () => {
    const { engine, clock, tier } = open()
    tier.acknowledged(1, ['=first'], 50)
    for (let turn = 0; turn < 1_024; turn++) tier.acknowledged(2, ['=a', '=b', '=c', '=d'], 100)
    tier.redeliver(2)
    expect(tier.pending()[1]).toEqual(['c'])
    clock.ms += 50
    tier.redeliver(3)
    expect(tier.pending()[1]).toEqual(['c', 'c'])
    clock.ms += 50
    tier.acknowledged(4, ['=k'], 100)
    clock.ms += 100
    tier.redeliver(5)
    expect(tier.pendingCount()).toBe(2)
    engine.close()
  })

  it('is told apart from a plain cache of its name', () => {
    const name = uniqueName()
    const tiered = openEngine({ name, tiered: true }, kind)
    for (const options of [{ name }, { name, tiered: false }]) {
      const error = thrown(() => openEngine(options, kind))
      expect([error.code, error.message]).toEqual([
        'ERR_CACHE_OPTIONS_CONFLICT',
        expect.stringContaining('tiered'),
      ])
    }
    openEngine({ name, tiered: true }, kind).close()
    tiered.close()
    const plain = openEngine({ name }, kind)
    expect(thrown(() => openEngine({ name, tiered: true }, kind)).code).toBe('ERR_CACHE_OPTIONS_CONFLICT')
    openEngine({ name, tiered: false }, kind).close()
    plain.close()
  })
})
