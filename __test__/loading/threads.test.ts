import { once } from 'node:events'
import path from 'node:path'
import { Worker } from 'node:worker_threads'
import { describe, expect, it } from 'vitest'
import { Cache } from '../../src/index.js'
import { sleep, uniqueName, withoutRust } from '../support/engines.js'

const dist = path.join(__dirname, '../../dist')

const PRELUDE = `
  const { parentPort, workerData } = require('node:worker_threads')
  const { Cache } = require(${JSON.stringify(`${dist}/index.js`)})
  const { shared, name, number, options } = workerData
  const counts = new Int32Array(shared)
  const cache = new Cache({ name })
  const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
`

/** A worker that runs `body` and posts what it returns. */
function spawn(name: string, shared: SharedArrayBuffer, body: string, number = 0, options: object = {}) {
  const source = `${PRELUDE}
    ;(async () => { ${body} })().then((result) => parentPort.postMessage({ result }), (error) => parentPort.postMessage({ error: String(error) }))`
  return new Worker(source, { eval: true, workerData: { shared, name, number, options } })
}

async function resultOf(worker: Worker): Promise<unknown> {
  const [{ result, error }] = (await once(worker, 'message')) as [{ result?: unknown; error?: string }]
  if (error !== undefined) throw new Error(error)
  return result
}

describe.skipIf(withoutRust)('over threads', () => {
  it('one loads and the others wait for it', async () => {
    const name = uniqueName()
    using cache = new Cache<number>({ name })
    const shared = new SharedArrayBuffer(64)
    const counts = new Int32Array(shared)
    const body = `
      Atomics.add(counts, 1, 1)
      while (Atomics.load(counts, 1) < 4) await sleep(1)
      const results = []
      for (let round = 0; round < 20; round++) {
        results.push(await cache.getOrSet('k' + round, async () => {
          Atomics.add(counts, 0, 1)
          await sleep(5)
          return round * 10
        }))
      }
      return results`
    const expected = Array.from({ length: 20 }, (_, round) => round * 10)
    const results = await Promise.all([0, 1, 2, 3].map(() => resultOf(spawn(name, shared, body))))
    expect(results).toEqual([expected, expected, expected, expected])
    expect(counts[0]).toBe(20)
    expect(cache.size).toBe(20)
  })

  it('a failed load is tried by the next, and its error stays in its thread', async () => {
    const name = uniqueName()
    using cache = new Cache<string>({ name })
    const shared = new SharedArrayBuffer(64)
    const counts = new Int32Array(shared)
    const body = `
      return cache.getOrSet('k', async () => {
        const first = Atomics.add(counts, 0, 1) === 0
        await sleep(20)
        if (first) throw new Error('the first')
        return 'second'
      }).catch((error) => error.message)`
    const results = await Promise.all([0, 1, 2].map(() => resultOf(spawn(name, shared, body))))
    expect(results.sort()).toEqual(['second', 'second', 'the first'])
    expect(counts[0]).toBe(2)
    expect(cache.get('k')).toBe('second')
  })

  it('a thread that is terminated in its load frees the key, and whoever waits loads', async () => {
    const name = uniqueName()
    using cache = new Cache<string>({ name })
    const shared = new SharedArrayBuffer(64)
    const counts = new Int32Array(shared)
    for (let round = 1; round <= 5; round++) {
      const leader = spawn(
        name,
        shared,
        `await cache.getOrSet('k' + number, () => { Atomics.add(counts, 0, 1); return new Promise(() => setInterval(() => {}, 1000)) })`,
        round,
      )
      while (Atomics.load(counts, 0) < round) await sleep(2)
      const waiting = cache.getOrSet(`k${round}`, () => 'mine')
      const late = await Promise.race([waiting, sleep(20).then(() => 'still waiting')])
      expect(late).toBe('still waiting')
      expect(cache.stats().loading).toBe(1)
      await leader.terminate()
      expect(await waiting).toBe('mine')
      expect(cache.stats().loading).toBe(0)
    }
  })

  it('a load that was overtaken holds nobody up', async () => {
    const name = uniqueName()
    using cache = new Cache<string>({ name })
    const shared = new SharedArrayBuffer(64)
    const counts = new Int32Array(shared)
    const leader = spawn(
      name,
      shared,
      `return cache.getOrSet('k', async () => {
         const first = Atomics.add(counts, 0, 1) === 0
         while (first && Atomics.load(counts, 1) === 0) await sleep(2)
         return first ? 'old' : 'again'
       }, { tags: ['t'] })`,
    )
    while (Atomics.load(counts, 0) === 0) await sleep(2)
    cache.invalidateTag('t')
    expect(await cache.getOrSet('k', () => 'fresh', { tags: ['t'] })).toBe('fresh')
    Atomics.store(counts, 1, 1)
    expect(await resultOf(leader)).toBe('fresh')
    expect(cache.get('k')).toBe('fresh')
  })
})

/** What the four threads of the race do. Every number is the truth at the start of its load. */
const RACE = `
  if (options.withoutFence) {
    const any = new Cache()
    const [internals] = Object.getOwnPropertySymbols(any)
    const NativeEngine = any[internals].engine.constructor
    const { set } = NativeEngine.prototype
    NativeEngine.prototype.set = function (key, value, ttl, fence, tags, grace) {
      return set.call(this, key, value, ttl, undefined, tags, grace)
    }
    NativeEngine.prototype.permits = () => true
  }
  const KEYS = 4
  // By key: the truth, and the truth as of the last change that the cache was told of.
  const truth = (key) => 4 + key
  const told = (key) => 4 + KEYS + key
  const raise = (at, value) => {
    for (let seen = Atomics.load(counts, at); seen < value; ) {
      const found = Atomics.compareExchange(counts, at, seen, value)
      if (found === seen) break
      seen = found
    }
  }
  let state = 12345 + number * 7919
  const below = (n) => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff
    return (state >> 8) % n
  }
  Atomics.add(counts, 1, 1)
  while (Atomics.load(counts, 1) < 4) await sleep(1)
  let violations = 0
  let reads = 0
  const check = (key, seen, least) => {
    if (seen === undefined) return
    reads++
    if (seen < least) violations++
  }
  const load = (key) => async () => {
    const seen = Atomics.load(counts, truth(key))
    for (let turns = below(4); turns > 0; turns--) await (below(2) ? new Promise(setImmediate) : undefined)
    return seen
  }
  const pending = new Set()
  for (let op = 0; op < options.ops; op++) {
    const key = below(KEYS)
    const name = 'k' + key
    const least = Atomics.load(counts, told(key))
    switch (below(10)) {
      case 0: case 1: case 2:
        check(key, cache.get(name), least)
        break
      case 3: case 4: case 5: case 6: {
        const call = cache.getOrSet(name, load(key), { tags: [name] }).then((seen) => check(key, seen, least)).finally(() => pending.delete(call))
        pending.add(call)
        if (pending.size > 8) await Promise.race(pending)
        break
      }
      case 7: {
        const fence = cache.fence()
        cache.set(name, Atomics.load(counts, truth(key)), { fence, tags: [name] })
        break
      }
      default: {
        const value = Atomics.add(counts, truth(key), 1) + 1
        const way = below(3)
        if (way === 0) cache.delete(name)
        else if (way === 1) cache.invalidateTag(name)
        else cache.clear()
        raise(told(key), value)
      }
    }
    if (op % 64 === 0) await new Promise(setImmediate)
  }
  await Promise.all(pending)
  return { violations, reads }
`

describe.skipIf(withoutRust)('four threads that load, change and read', () => {
  async function race(options: { ops: number; withoutFence?: boolean }) {
    const name = uniqueName()
    using cache = new Cache<number>({ name })
    const shared = new SharedArrayBuffer(64)
    const workers = [0, 1, 2, 3].map((number) => spawn(name, shared, RACE, number, options))
    const results = (await Promise.all(workers.map(resultOf))) as { violations: number; reads: number }[]
    const sum = (pick: (result: { violations: number; reads: number }) => number) =>
      results.reduce((total, result) => total + pick(result), 0)
    expect(cache.stats().loading).toBe(0)
    return { violations: sum((r) => r.violations), reads: sum((r) => r.reads), fenced: cache.stats().fenced }
  }

  it('never read a value that was changed before they asked', { timeout: 120_000 }, async () => {
    const ops = Number(process.env.SARK_CACHE_RACE_OPS ?? 10_000)
    const { violations, reads, fenced } = await race({ ops })
    expect(violations).toBe(0)
    expect(reads).toBeGreaterThan(ops)
    expect(fenced).toBeGreaterThan(10)
  })

  it('do without the fence, and the same check finds it', { timeout: 120_000 }, async () => {
    const { violations } = await race({ ops: 10_000, withoutFence: true })
    expect(violations).toBeGreaterThan(0)
  })
})
