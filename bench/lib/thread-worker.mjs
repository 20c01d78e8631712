// A thread of threads.bench.mjs: opens every lane in which it takes part, and works on the one that is asked
// for from the moment at which all of its threads are ready.

import assert from 'node:assert/strict'
import path from 'node:path'
import { parentPort, workerData } from 'node:worker_threads'
import { LRUCache } from 'lru-cache'
import { Cache } from 'sark-cache'
import { openLmdb } from './contenders.mjs'

const [TURN, LANE, READY] = [0, 1, 2]

/**
 * @typedef {object} Lane
 * @property {string} name
 * @property {'sark' | 'lru' | 'lmdb'} kind
 * @property {object} options Of the cache.
 * @property {number} threads
 * @property {import('./loops.mjs').Mix} mix
 */

/**
 * @typedef {object} ThreadData
 * @property {number} index
 * @property {Int32Array} control Cells by which threads are told what to do: turn, lane, ready.
 * @property {readonly Lane[]} lanes
 * @property {import('./loops.mjs').Traffic} traffic
 * @property {number} max Entries of all threads together.
 * @property {number} ttl
 * @property {string} folder
 * @property {number} turnMs
 */

/** @type {ThreadData} */
const { index, control, lanes, traffic, max, ttl, folder, turnMs } = workerData

/** @type {Map<string, { store: any, cursor: { at: number } }>} */
const stores = new Map()

/** @param {Lane} lane */
async function open({ kind, options, threads }) {
  if (kind === 'sark') {
    const near = JSON.stringify(options)
    return new Cache({ name: `threads ${threads} ${near}`, max, ttl, engine: 'rust', ...options })
  }
  if (kind === 'lru') return new LRUCache({ max: Math.floor(max / threads), ttl })
  const db = await openLmdb(path.join(folder, `threads-${threads}`))
  if (index === 0) {
    db.transactionSync(() => {
      for (const [id, key] of traffic.keys.entries()) db.put(key, traffic.values[id])
    })
  }
  return {
    get: (/** @type {string} */ key) => db.get(key),
    set: (/** @type {string} */ key, /** @type {unknown} */ value) => db.put(key, value),
  }
}

const runs = []
for (const lane of lanes) {
  if (index >= lane.threads) {
    runs.push(undefined)
    continue
  }
  const of = `${lane.name} ${lane.threads}`
  let opened = stores.get(of)
  if (opened === undefined) {
    opened = { store: await open(lane), cursor: { at: 0 } }
    stores.set(of, opened)
  }
  /** @type {typeof import('./loops.mjs')} */
  const loops = await import(`./loops.mjs?${encodeURIComponent(lane.name)}`)
  runs.push(loops.mixed(opened.store, traffic, lane.mix, opened.cursor))
}
parentPort?.postMessage('open')

for (let turn = 0; ; ) {
  Atomics.wait(control, TURN, turn)
  turn = Atomics.load(control, TURN)
  const at = Atomics.load(control, LANE)
  if (at < 0) break
  const lane = lanes[at]
  const run = runs[at]
  assert.ok(lane !== undefined)
  if (run === undefined) continue
  Atomics.add(control, READY, 1)
  while (Atomics.load(control, READY) < lane.threads);
  parentPort?.postMessage(await run(turnMs))
}
for (const { store } of stores.values()) if (store instanceof Cache) store.close()
