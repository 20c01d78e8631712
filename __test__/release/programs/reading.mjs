// Sees the changes of another thread in loops that do nothing but read, for as long as it takes an optimizing compiler
// to make of them what it can: `node reading.mjs`, with `sark-cache` where it is found.

import assert from 'node:assert/strict'
import { isMainThread, Worker, workerData } from 'node:worker_threads'
import { Cache, PolicyCache } from 'sark-cache'

/** Reads before the loop that is to end: enough to be compiled, in whatever tiers there are. */
const WARM = 1_000_000
/** Ms after which a change has to be seen. */
const LIMIT = 30_000

const query = { user: 'alice', action: 'read', resource: 'doc:1' }
const name = isMainThread ? `reading ${process.pid}` : workerData.name
const cache = new Cache({ name })
const decisions = new PolicyCache({ name, evaluate: () => ({ allowed: false }) })

/** @type {Record<string, () => Promise<boolean>>} What is awaited until it is no longer what it was. */
const reads = {
  getOrSet: async () => (await cache.getOrSet('getOrSet', () => 2)) === 1,
  decide: async () => (await decisions.decide(query)).allowed,
}

/**
 * Loops of their own, so that each is compiled for what it reads; what ends them beside a change comes from without.
 *
 * @type {Record<string, (limit: number) => number>}
 */
const loops = {
  get: (limit) => {
    let count = 0
    while (count < limit && cache.get('get') === 1) count++
    return count
  },
  peek: (limit) => {
    let count = 0
    while (count < limit && cache.peek('peek') === 1) count++
    return count
  },
  has: (limit) => {
    let count = 0
    while (count < limit && cache.has('has')) count++
    return count
  },
  cached: (limit) => {
    let count = 0
    while (count < limit && decisions.cached(query)?.allowed === true) count++
    return count
  },
}

if (isMainThread) {
  for (const call of [...Object.keys(loops), ...Object.keys(reads)]) {
    for (const key of ['get', 'peek', 'has', 'getOrSet']) cache.set(key, 1, { tags: ['t'] })
    await decisions.set(query, { allowed: true })
    const turn = new Int32Array(new SharedArrayBuffer(4))
    const worker = new Worker(new URL(import.meta.url), { workerData: { name, call, turn } })
    const ended = new Promise((resolve, reject) => {
      worker.on('error', reject)
      worker.on('exit', (code) => resolve(code))
    })
    while (Atomics.load(turn, 0) === 0) await new Promise((resolve) => setTimeout(resolve, 5))
    // The loop is under way, and runs long enough to be replaced while it does.
    await new Promise((resolve) => setTimeout(resolve, 300))
    if (call === 'decide' || call === 'cached') await decisions.invalidate({ user: 'alice' })
    else if (call === 'get') cache.invalidateTag('t')
    else cache.delete(call)
    const late = new Promise((resolve) => setTimeout(resolve, LIMIT, 'late').unref())
    const outcome = await Promise.race([ended, late])
    assert.equal(outcome, 0, `a loop of ${call}: ${outcome}`)
  }
  console.log('every loop saw the change')
  process.exit(0)
} else {
  const { call, turn } = workerData
  const loop = loops[call]
  if (loop !== undefined) {
    for (let time = 0; time < 20; time++) assert.equal(loop(WARM / 20), WARM / 20)
    Atomics.store(turn, 0, 1)
    loop(Infinity)
  } else {
    for (let count = 0; count < WARM; count++) assert.equal(await reads[call](), true)
    Atomics.store(turn, 0, 1)
    while (await reads[call]());
  }
  process.exit(0)
}
