import { once } from 'node:events'
import path from 'node:path'
import { Worker } from 'node:worker_threads'
import { describe, expect, it } from 'vitest'
import { openEngine } from '../../src/engine/open.js'
import { sleep, uniqueName, withoutRust } from '../support/engines.js'

const engineModule = path.join(__dirname, '../../dist/engine/open.js')
const nearModule = path.join(__dirname, '../../dist/near/open.js')

/** Where the threads keep the truth, the truth as of the last clearing that has returned, and whether to end. */
const [TRUTH, CLEARED, DONE] = [0, 1, 2]

/** Reads by copies and loads what is missing, until it is told to end. */
const READER = `
  const { parentPort, workerData: { name, shared } } = require('node:worker_threads')
  const { openEngine } = require(${JSON.stringify(engineModule)})
  const { openNear } = require(${JSON.stringify(nearModule)})
  const state = new Int32Array(shared)
  const engine = openEngine({ name, max: 1_000 }, 'rust')
  const namespace = engine.namespace('decisions')
  const near = openNear(namespace, {}, JSON.parse)
  const stale = []
  let other = 0
  parentPort.postMessage('ready')
  while (Atomics.load(state, ${DONE}) === 0) {
    const least = Atomics.load(state, ${CLEARED})
    const found = near.get('k')
    if (found !== undefined) {
      if (found.n < least && stale.length < 3) stale.push([found.n, least])
      if (near.get('k')?.n < least && stale.length < 3) stale.push(['again', least])
    } else {
      const fence = namespace.fence()
      const n = Atomics.load(state, ${TRUTH})
      namespace.set('k', JSON.stringify({ n }), undefined, fence)
    }
    if (engine.get('k') === 'of the root') other++
  }
  near.flush()
  const stats = namespace.stats()
  engine.close()
  parentPort.postMessage({ stale, other, stats })
`

describe.skipIf(withoutRust)('a namespace that several threads use', () => {
  it('is never read after it was emptied as it was before, by any thread', async () => {
    const name = uniqueName()
    const engine = openEngine({ name, max: 1_000 }, 'rust')
    const namespace = engine.namespace('decisions')
    engine.set('k', 'of the root')
    const shared = new SharedArrayBuffer(12)
    const state = new Int32Array(shared)
    const workers = [1, 2].map(() => new Worker(READER, { eval: true, workerData: { name, shared } }))
    await Promise.all(workers.map((worker) => once(worker, 'message')))
    const ended = workers.map((worker) => once(worker, 'message'))
    const end = performance.now() + 1_500
    let clearings = 0
    while (performance.now() < end) {
      for (let turn = 0; turn < 50; turn++) {
        clearings++
        Atomics.store(state, TRUTH, clearings)
        namespace.clear()
        Atomics.store(state, CLEARED, clearings)
      }
      // Time for copies to be made and read.
      await new Promise((resolve) => setTimeout(resolve, 1))
    }
    Atomics.store(state, DONE, 1)
    for (const [{ stale, other, stats }] of await Promise.all(ended)) {
      expect(stale).toEqual([])
      expect(other).toBeGreaterThan(0)
      expect(stats.nearHits).toBeGreaterThan(0)
      expect(stats.cleared).toBeGreaterThan(0)
    }
    namespace.clear()
    expect([namespace.size(), namespace.bytes(), engine.size() <= 2]).toEqual([0, 0, true])
    expect(engine.get('k')).toBe('of the root')
    engine.close()
  })

  it('has one size and one set of counters for all of them', async () => {
    const name = uniqueName()
    const engine = openEngine({ name, max: 500 }, 'rust')
    const all = ['a', 'b'].map((each) => engine.namespace(each))
    const source = `
      const { parentPort, workerData: { name, seed } } = require('node:worker_threads')
      const { openEngine } = require(${JSON.stringify(engineModule)})
  const { openNear } = require(${JSON.stringify(nearModule)})
      const engine = openEngine({ name, max: 500 }, 'rust')
      const all = ['a', 'b'].map((each) => engine.namespace(each))
      let random = seed
      let sets = [0, 0]
      for (let step = 0; step < 30_000; step++) {
        random = (Math.imul(random, 1664525) + 1013904223) >>> 0
        const at = random & 1
        const key = 'key ' + ((random >>> 1) % 400)
        const what = (random >>> 12) % 100
        if (what < 60) sets[at] += all[at].set(key, 'v'.repeat(random % 90), what < 20 ? 1 + what % 3 : undefined)
        else if (what < 90) all[at].get(key)
        else if (what < 99) all[at].delete(key)
        else all[at].clear()
      }
      engine.close()
      parentPort.postMessage(sets)
    `
    const run = (seed: number) =>
      once(new Worker(source, { eval: true, workerData: { name, seed } }), 'message')
    const done = (await Promise.all([run(1), run(2), run(3)])) as [[number, number]][]
    // Nothing expires after this.
    await sleep(20)
    for (const [at, namespace] of all.entries()) {
      expect(namespace.stats().sets).toBe(done.reduce((sum, [sets]) => sum + (sets[at] as number), 0))
      // What has expired is counted until it is come upon.
      for (let key = 0; key < 400; key++) namespace.peek(`key ${key}`)
      expect(namespace.size()).toBe([...namespace.keys()].length)
      const bytes = [...namespace.keys()].map((key) => key.length + (namespace.peek(key)?.length ?? 0) + 100)
      expect(namespace.bytes()).toBe(bytes.reduce((sum, one) => sum + one, 0))
    }
    for (const namespace of all) namespace.clear()
    expect(all.map((namespace) => [namespace.size(), namespace.bytes()])).toEqual([
      [0, 0],
      [0, 0],
    ])
    engine.close()
  })
})
