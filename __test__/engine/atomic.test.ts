import { once } from 'node:events'
import path from 'node:path'
import { Worker } from 'node:worker_threads'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type EngineOptions, Outcome } from '../../src/engine/engine.js'
import { openEngine } from '../../src/engine/open.js'
import type { Stored } from '../../src/engine/stored.js'
import { openNear } from '../../src/near/open.js'
import { engines, thrown, uniqueName, withoutRust } from '../support/engines.js'

describe.each(engines)('the atomic calls of the %s engine', (kind) => {
  /** An engine, and a clock to move its time with. */
  function open(options: EngineOptions = {}) {
    const clock = { ms: 5_000, now: () => clock.ms }
    return { engine: openEngine({ clock, ...options }, kind), clock }
  }

  it('touch renews the TTL that an entry was stored with, or gives another one', () => {
    const { engine, clock } = open()
    for (const ttl of [1, 999, 60_000, 59_993, 2_592_000_001, 2 ** 40 + 1]) {
      engine.set('k', 'v', ttl)
      clock.ms += ttl - 1
      expect(engine.touch('k'), `${ttl}`).toBe(true)
      expect(engine.remainingTtl('k')).toBe(ttl)
      clock.ms += ttl
      expect(engine.touch('k')).toBe(false)
    }
    engine.set('k', 'v', 100)
    expect(engine.touch('k', 10.5)).toBe(true)
    expect(engine.remainingTtl('k')).toBe(11)
    expect(engine.touch('k', Infinity)).toBe(true)
    expect(engine.remainingTtl('k')).toBe(Infinity)
    expect(engine.touch('k')).toBe(true)
    expect(engine.remainingTtl('k')).toBe(100)
    expect(engine.touch('k', 0)).toBe(true)
    expect([engine.has('k'), engine.touch('k', 0), engine.size()]).toEqual([false, false, 0])
    engine.close()
  })

  it('touch changes nothing else', () => {
    const { engine, clock } = open({ max: 2 })
    engine.set('k', 'v', 100, undefined, ['t'], 50)
    engine.set('l', 'v')
    const [fence, bytes] = [engine.fence(), engine.bytes()]
    expect(engine.touch('k', 200)).toBe(true)
    expect([engine.permits('k', fence, ['t']), engine.bytes()]).toEqual([true, bytes])
    expect(engine.set('k', 'w', 100, fence, ['t'], 50)).toBe(Outcome.Stored)
    expect(engine.touch('k', 10)).toBe(true)
    engine.set('m', 'v')
    expect([engine.has('k'), engine.has('l')]).toEqual([true, false])
    clock.ms += 10
    expect(engine.get('k')).toBe(undefined)
    expect(engine.getStale('k')).toEqual(['w', 1])
    expect(engine.touch('k', 10)).toBe(false)
    clock.ms += 50
    expect(engine.purge(10)).toEqual({ removed: 1, done: true })
    engine.set('k', 'v', 100, undefined, ['t'])
    engine.invalidateTag('t')
    expect(engine.touch('k')).toBe(false)
    expect(engine.touch('none')).toBe(false)
    engine.close()
  })

  it('touch is seen by copies', () => {
    const { engine, clock } = open()
    let decoded = 0
    const near = openNear(engine, {}, (stored: Stored) => {
      decoded++
      return JSON.parse(stored as string)
    })
    engine.set('k', '[1]', 10_000)
    const value = near.get('k')
    expect(near.get('k')).toBe(value)
    engine.touch('k', 20)
    clock.ms += 19
    expect(near.get('k')).toBe(value)
    clock.ms += 1
    expect([near.get('k'), near.peek('k')]).toEqual([undefined, undefined])
    engine.set('k', '[2]', 10)
    near.get('k')
    engine.touch('k', 1_000)
    clock.ms += 999
    expect(near.get('k')).toEqual([2])
    expect(decoded).toBe(2)
    near.clear()
    engine.close()
  })

  it('setIfAbsent stores where there is no readable value', () => {
    const { engine, clock } = open()
    expect(engine.setIfAbsent('k', 'first', 10, ['t'], 100)).toBe(Outcome.Stored)
    const fence = engine.fence()
    expect(engine.setIfAbsent('k', 'second')).toBe(Outcome.Present)
    expect(engine.setIfAbsent('k', 'second', 0)).toBe(Outcome.Present)
    expect(engine.permits('k', fence)).toBe(true)
    expect([engine.get('k'), engine.remainingTtl('k')]).toEqual(['first', 10])
    clock.ms += 10
    expect(engine.setIfAbsent('k', 'third', 10, ['t'], 100)).toBe(Outcome.Stored)
    clock.ms += 10
    expect(engine.getStale('k')).toEqual(['third', 1])
    engine.invalidateTag('t')
    expect(engine.setIfAbsent('k', new Uint8Array([4]))).toBe(Outcome.Stored)
    expect(engine.get('k')).toEqual(new Uint8Array([4]))
    expect(engine.setIfAbsent('gone', 'v', 0)).toBe(Outcome.Expired)
    engine.close()
  })

  it('increment makes a number and keeps its deadline, tags and grace', () => {
    const { engine, clock } = open({ ttl: 700 })
    expect(engine.increment('k', 2)).toBe(2)
    expect(engine.remainingTtl('k')).toBe(700)
    expect(engine.increment('l', 0.5, 1_000)).toBe(0.5)
    clock.ms += 400
    const fence = engine.fence()
    expect(engine.increment('l', 1, 5_000)).toBe(1.5)
    expect([engine.get('l'), engine.remainingTtl('l')]).toEqual(['1.5', 600])
    expect([engine.permits('l', fence), engine.set('l', '9', 100, fence)]).toEqual([false, Outcome.Fenced])
    clock.ms += 600
    expect(engine.increment('l', -3, Infinity)).toBe(-3)
    expect(engine.remainingTtl('l')).toBe(Infinity)
    engine.set('l', '8', 100, undefined, ['t'], 50)
    expect(engine.increment('l', 1)).toBe(9)
    clock.ms += 100
    expect(engine.getStale('l')).toEqual(['9', 1])
    engine.set('l', '8', 100, undefined, ['t'], 50)
    expect(engine.increment('l', 1)).toBe(9)
    engine.invalidateTag('t')
    expect([engine.get('l'), engine.increment('l', 1)]).toEqual([undefined, 1])
    engine.close()
  })

  it('increment refuses what is not a number and what would not be finite', () => {
    const { engine } = open()
    for (const value of ['', '"1"', 'null', '01', '1 ', 'NaN', new Uint8Array([49])]) {
      engine.set('k', value)
      const error = thrown(() => engine.increment('k', 1))
      expect(error).toBeInstanceOf(TypeError)
      expect(error.code).toBe('ERR_INVALID_ARG_TYPE')
      expect(error.message).toContain('the value under "k" is not a number')
      expect(engine.get('k')).toEqual(value)
    }
    engine.set('k', '1.7e308')
    const error = thrown(() => engine.increment('k', 1.7e308))
    expect([error instanceof RangeError, error.code]).toEqual([true, 'ERR_OUT_OF_RANGE'])
    expect(thrown(() => engine.increment('new', Infinity)).code).toBe('ERR_OUT_OF_RANGE')
    expect([engine.get('k'), engine.has('new')]).toEqual(['1.7e308', false])
    engine.close()
  })

  it('increment writes numbers as JSON.stringify does', () => {
    const { engine } = open()
    const number = fc.oneof(
      fc.double({ noDefaultInfinity: true, noNaN: true }),
      fc.maxSafeInteger(),
      fc.constantFrom(1e21, 1e-7, 2 ** 60, 5e-324, -0, 123456789012345680000, 2 ** 49, 0.25),
    )
    fc.assert(
      fc.property(number, number, (first, second) => {
        engine.delete('k')
        expect(engine.increment('k', first)).toBe(first)
        expect(engine.get('k')).toBe(JSON.stringify(first))
        fc.pre(Number.isFinite(first + second))
        engine.increment('k', second)
        expect(engine.get('k')).toBe(JSON.stringify(JSON.parse(JSON.stringify(first)) + second))
      }),
    )
    engine.close()
  })

  it('increment makes room in a full cache, and counts as a set and a use', () => {
    const { engine } = open({ maxSize: 3 * 99 })
    for (const key of ['aa', 'bb', 'cc']) engine.set(key, '9')
    expect(engine.increment('aa', 1)).toBe(10)
    expect(['aa', 'bb', 'cc'].map((key) => engine.has(key))).toEqual([true, false, true])
    expect(engine.stats()).toMatchObject({ sets: 4, hits: 0, misses: 0, evictionsByMaxSize: 1 })
    engine.close()
    const { engine: small } = open({ maxEntrySize: 99 })
    small.set('aa', '9')
    expect(small.increment('aa', 1)).toBe(10)
    expect([small.size(), small.stats().rejections]).toEqual([0, 1])
    small.close()
  })

  it('get renews the TTL with updateAgeOnGet, and peek and has do not', () => {
    const { engine, clock } = open({ updateAgeOnGet: true, ttl: 59_993 })
    expect(engine.settings.updateAgeOnGet).toBe(true)
    engine.set('k', '[1]')
    engine.set('peeked', 'v')
    engine.set('for ever', 'v', Infinity)
    const near = openNear(engine, {}, (stored: Stored) => JSON.parse(stored as string))
    const reads = [() => engine.get('k'), () => engine.getMany(['k'])[0], () => near.get('k')]
    for (let turn = 0; turn < 30; turn++) {
      clock.ms += 40_000
      expect(reads[turn % 3]?.()).toBeDefined()
      expect(engine.remainingTtl('k')).toBe(59_993)
      expect([engine.peek('peeked') !== undefined, engine.has('peeked')]).toEqual([turn < 1, turn < 1])
      expect(engine.purge(100).done).toBe(true)
    }
    expect(near.get('k')).not.toBe(near.get('k'))
    expect(engine.stats().nearHits).toBe(0)
    expect([engine.get('for ever'), engine.remainingTtl('for ever')]).toEqual(['v', Infinity])
    engine.touch('k', 200_000)
    engine.get('k')
    expect(engine.remainingTtl('k')).toBe(200_000)
    clock.ms += 200_000
    expect(engine.purge(100)).toEqual({ removed: 1, done: true })
    expect(engine.get('k')).toBe(undefined)
    engine.close()
  })

  it('all that share a cache agree on updateAgeOnGet', () => {
    const name = uniqueName()
    const engine = openEngine({ name, updateAgeOnGet: true }, kind)
    const other = openEngine({ name }, kind)
    expect(other.settings.updateAgeOnGet).toBe(true)
    const error = thrown(() => openEngine({ name, updateAgeOnGet: false }, kind))
    expect([error.code, error.message]).toEqual([
      'ERR_CACHE_OPTIONS_CONFLICT',
      expect.stringContaining('another updateAgeOnGet: false is asked for, true is in force'),
    ])
    other.close()
    engine.close()
    const plain = openEngine({}, kind)
    expect(plain.settings.updateAgeOnGet).toBe(false)
    plain.close()
  })
})

describe.skipIf(withoutRust)('the atomic calls from several threads', () => {
  const module = path.join(__dirname, '../../dist/engine/open.js')
  const nearModule = path.join(__dirname, '../../dist/near/open.js')

  /** Runs code in three threads that have `engine` and `near` of one name. */
  async function inThreads(name: string, code: string): Promise<number[]> {
    const source = `
      const { parentPort, workerData } = require('node:worker_threads')
      const { openEngine } = require(${JSON.stringify(module)})
      const { openNear } = require(${JSON.stringify(nearModule)})
      const engine = openEngine({ name: workerData.name }, 'rust')
      const near = openNear(engine, {}, (stored) => JSON.parse(stored))
      Atomics.add(workerData.ready, 0, 1)
      while (Atomics.load(workerData.ready, 0) < 3) {}
      let result = 0
      ${code}
      parentPort.postMessage(result)
    `
    const ready = new Int32Array(new SharedArrayBuffer(4))
    const workers = [0, 1, 2].map(() => new Worker(source, { eval: true, workerData: { name, ready } }))
    const results = await Promise.all(workers.map(async (worker) => (await once(worker, 'message'))[0]))
    await Promise.all(workers.map((worker) => worker.terminate()))
    return results
  }

  it('lose no increment, and copies see them', async () => {
    const name = uniqueName()
    const engine = openEngine({ name }, 'rust')
    const near = openNear(engine, {}, (stored: Stored) => JSON.parse(stored as string))
    await inThreads(
      name,
      `for (let time = 0; time < 20_000; time++) {
         const sum = engine.increment('k', 1)
         if (near.get('k') < sum) throw new Error('an older sum was read')
       }`,
    )
    expect(near.get('k')).toBe(60_000)
    near.clear()
    engine.close()
  })

  it('let one thread insert', async () => {
    const name = uniqueName()
    const engine = openEngine({ name }, 'rust')
    const stored = await inThreads(
      name,
      `for (let key = 0; key < 3_000; key++) if (engine.setIfAbsent('key ' + key, 'v') === 1) result++`,
    )
    expect(stored.reduce((sum, count) => sum + count)).toBe(3_000)
    engine.close()
  })

  it('give a nearer deadline to the copies of other threads', async () => {
    const name = uniqueName()
    const engine = openEngine({ name }, 'rust')
    engine.set('k', '[1]', 3_600_000)
    const near = openNear(engine, {}, (stored: Stored) => JSON.parse(stored as string))
    expect(near.get('k')).toEqual([1])
    await inThreads(name, `engine.touch('k', 1)`)
    await new Promise((resolve) => setTimeout(resolve, 5))
    expect(near.get('k')).toBe(undefined)
    near.clear()
    engine.close()
  })
})
