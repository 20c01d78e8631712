import { once } from 'node:events'
import path from 'node:path'
import { Worker } from 'node:worker_threads'
import { describe, expect, it } from 'vitest'
import type { MemorySource, TierControl } from '../../src/engine/capabilities.js'
import type { Engine } from '../../src/engine/engine.js'
import { openEngine } from '../../src/engine/open.js'
import { openNear } from '../../src/near/open.js'
import { uniqueName, withoutRust } from '../support/engines.js'

const engineModule = path.join(__dirname, '../../dist/engine/open.js')
const nearModule = path.join(__dirname, '../../dist/near/open.js')

const tierOf = (engine: Engine) => engine.tier as TierControl

/** Runs a body with what it needs in another thread. */
function start(body: string, workerData: unknown): Worker {
  const code = `
    const { parentPort, workerData } = require('node:worker_threads')
    const { openEngine } = require(${JSON.stringify(engineModule)})
    const { openNear } = require(${JSON.stringify(nearModule)})
    ${body}
  `
  return new Worker(code, { eval: true, workerData })
}

/** Opens a name, tells what it knows of it, adds to that and stays. */
const NEIGHBOUR = `
  const engine = openEngine({ name: workerData, tiered: true }, 'rust')
  const { tier } = engine
  const known = [tier.seen(), tier.position(), tier.pending()[1], engine.get('k')]
  tier.saw(9, 2)
  tier.advance(9, 1)
  tier.pend(['#тег'])
  parentPort.postMessage({ known, follows: tier.follow() })
  parentPort.once('message', () => {
    engine.close()
    parentPort.postMessage('closed')
  })
`

/** Opens a name over and over, and takes the role where it can. */
const STORM = `
  for (;;) {
    const engine = openEngine({ name: workerData, tiered: true }, 'rust')
    const namespace = engine.namespace('n')
    engine.tier.follow()
    namespace.tier.follow()
    engine.tier.pend(['=k'])
    parentPort.postMessage('turn')
    if (Math.random() < 0.5) engine.close()
  }
`

/** Opens a name as a plain cache, and says what that throws. */
const PLAIN = `
  try {
    openEngine({ name: workerData }, 'rust')
    parentPort.postMessage('opened')
  } catch (error) {
    parentPort.postMessage(error.code)
  }
`

/** Reads by copies. No answer is older than what had been applied before it was asked for. */
const READER = `
  const { name, shared } = workerData
  const state = new Int32Array(shared)
  const engine = openEngine({ name, tiered: true, max: 1_000 }, 'rust')
  const near = openNear(engine, {}, JSON.parse)
  const stale = []
  let answers = 0
  parentPort.postMessage('ready')
  while (Atomics.load(state, 1) === 0) {
    const least = Atomics.load(state, 0)
    const found = near.get('k')
    if (found !== undefined) {
      answers++
      if (found.n < least && stale.length < 3) stale.push([found.n, least])
    }
    Atomics.store(state, 2, answers)
  }
  near.flush()
  const { nearHits } = engine.stats()
  engine.close()
  parentPort.postMessage({ stale, nearHits })
`

describe.skipIf(withoutRust)('a tiered cache that several threads use', () => {
  it('is known to all of them alike, and one follows until its cache is closed', async () => {
    const name = uniqueName()
    const engine = openEngine({ name, tiered: true }, 'rust')
    const tier = tierOf(engine)
    tier.saw(8, 5)
    tier.advance(8, 4)
    tier.pend(['=k'])
    engine.set('k', '1')
    tier.extend(8, tier.time() + 60_000)
    expect(tier.follow()).toBe(true)
    const worker = start(NEIGHBOUR, name)
    const [{ known, follows }] = await once(worker, 'message')
    expect(known).toEqual([[8, 5], [8, 4], ['=k'], '1'])
    expect(follows).toBe(false)
    expect([tier.seen(), tier.position(), tier.pending()[1]]).toEqual([
      [9, 2],
      [9, 1],
      ['=k', '#тег'],
    ])
    // The other thread met a newer epoch.
    expect([tier.heldUntil(), engine.get('k'), tier.extend(8, tier.time() + 60_000)]).toEqual([
      0,
      undefined,
      false,
    ])
    worker.postMessage('close')
    await once(worker, 'message')
    expect(tier.follow()).toBe(true)
    await worker.terminate()
    engine.close()
  })

  it('is followed by another once the thread that followed was terminated', async () => {
    const name = uniqueName()
    const engine = openEngine({ name, tiered: true }, 'rust')
    const tier = tierOf(engine)
    const worker = start(NEIGHBOUR, name)
    const [{ follows }] = await once(worker, 'message')
    expect([follows, tier.follow()]).toEqual([true, false])
    await worker.terminate()
    expect([tier.follow(), tier.pending()[1]]).toEqual([true, ['#тег']])
    engine.close()
  })

  it('survives a storm of terminations, and the role is free after it', async () => {
    const name = uniqueName()
    const engine = openEngine({ name, tiered: true }, 'rust')
    const tier = tierOf(engine)
    for (let round = 0; round < 8; round++) {
      const workers = [1, 2, 3].map(() => start(STORM, name))
      await Promise.all(workers.map((worker) => once(worker, 'message')))
      await Promise.all(workers.map((worker) => worker.terminate()))
      expect(tier.follow(), `round ${round}`).toBe(true)
      expect(tier.pendingCount()).toBeGreaterThan(0)
      expect(tier.pendingCount()).toBeLessThanOrEqual(1_024)
    }
    engine.close()
  })

  it('is no plain cache in another thread either', async () => {
    const name = uniqueName()
    const engine = openEngine({ name, tiered: true }, 'rust')
    const worker = start(PLAIN, name)
    expect(await once(worker, 'message')).toEqual(['ERR_CACHE_OPTIONS_CONFLICT'])
    engine.close()
  })

  it('answers copies with nothing older than what was applied before they were asked for', async () => {
    const name = uniqueName()
    const engine = openEngine({ name, tiered: true, max: 1_000 }, 'rust')
    const tier = tierOf(engine)
    const shared = new SharedArrayBuffer(12)
    const state = new Int32Array(shared)
    const worker = start(READER, { name, shared })
    await once(worker, 'message')
    const ended = once(worker, 'message')
    const end = performance.now() + 1_500
    for (let n = 1; performance.now() < end; n++) {
      tier.saw(n, 0)
      engine.delete('k')
      engine.set('k', JSON.stringify({ n }))
      tier.extend(n, tier.time() + 1_000)
      Atomics.store(state, 0, n)
      const before = Atomics.load(state, 2)
      // Time for a copy to be made and read.
      while (n % 8 === 0 && Atomics.load(state, 2) < before + 5 && performance.now() < end) {
        // Waits for the other thread.
      }
    }
    Atomics.store(state, 1, 1)
    const [{ stale, nearHits }] = await ended
    expect(stale).toEqual([])
    expect(nearHits).toBeGreaterThan(0)
    engine.close()
  })

  /** How often the time was asked for in many reads of one copy, and how many of them the copy answered. */
  function asked(tiered: boolean): { times: number; hits: number } {
    const engine = openEngine({ tiered, max: 1_000, ttl: 3_600_000 }, 'rust')
    const { tier } = engine
    tier?.saw(1, 0)
    tier?.extend(1, tier.time() + 60_000)
    for (let n = 0; n < 300; n++) engine.set(`k${n}`, `{"n":${n}}`)
    let times = 0
    const nearSource = new Proxy(engine.nearSource as MemorySource, {
      get(source, property: keyof MemorySource) {
        const member = source[property]
        if (typeof member !== 'function') return member
        if (property === 'now') times++
        return (member as (...args: unknown[]) => unknown).bind(source)
      },
    })
    const near = openNear(
      { ...engine, settings: engine.settings, nearSource } as Engine,
      {},
      JSON.parse as never,
    )
    for (let turn = 0; turn < 20_000; turn++) expect(near.get('k1')).toEqual({ n: 1 })
    near.flush()
    const hits = engine.stats().nearHits
    near.clear()
    engine.close()
    return { times, hits }
  }

  it('asks whether the lease is held at each read of a copy, which is never sure', () => {
    const { times, hits } = asked(true)
    expect(hits).toBeGreaterThan(19_000)
    expect(times).toBeGreaterThanOrEqual(hits)
    expect(asked(false).times).toBe(0)
  })
})
