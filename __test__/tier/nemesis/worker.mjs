/** A thread of a process of the nemesis: reads and changes, and compares what it is served with what is true. */

import { createRequire } from 'node:module'
import { parentPort, workerData } from 'node:worker_threads'
import { clientOf, tampered } from './clients.mjs'
import { History } from './history.mjs'
import { Ledger } from './ledger.mjs'
import { keysOfTag, now, SHAPES, STALENESS, TTL, tagsOf, WRITERS } from './shapes.mjs'

/** @type {typeof import('../../../src/tier/tier.js')} */
const { TieredCache } = createRequire(import.meta.url)('../../../dist/tier/tier.js')

/**
 * @typedef {object} Setup
 * @property {string} folder
 * @property {import('./shapes.mjs').ShapeName} shape
 * @property {number} index Of the process.
 * @property {number} writer
 * @property {import('./clients.mjs').ClientSpec} client
 * @property {string | undefined} mutant
 * @property {number} pace Gets of a loop between two pauses.
 * @property {SharedArrayBuffer} history
 * @property {SharedArrayBuffer} settled
 */

const {
  folder,
  shape: name,
  index,
  writer,
  client,
  mutant,
  pace,
  ...shared
} = /** @type {Setup} */ (workerData)
const port = /** @type {import('node:worker_threads').MessagePort} */ (parentPort)
const shape = SHAPES[name]
const ledger = new Ledger(folder)
const history = new History(shape.keys, shared.history)
/** By key and writer: the number of the last change that settled in this process. */
const settled = new Uint32Array(shared.settled)

const READERS = 8
const CHANGERS = 3
/** Reads of this process alone beside each other one. */
const LOCAL_READS = 12

const counts = {
  gets: 0,
  remote: 0,
  suspended: 0,
  loads: 0,
  changes: 0,
  acknowledged: 0,
  pending: 0,
  sets: 0,
  violations: 0,
  errors: 0,
  limits: 0,
  scripts: 0,
}
let isOver = false
/** All that is done until it is over. */
let work = /** @type {Promise<unknown>} */ (Promise.resolve())

const sleep = (/** @type {number} */ ms) => new Promise((resolve) => setTimeout(resolve, ms))
const below = (/** @type {number} */ most) => Math.floor(Math.random() * most)

function report(/** @type {'violation' | 'error'} */ kind, /** @type {object} */ what) {
  const name = kind === 'violation' ? 'violations' : 'errors'
  // Enough to see when they were, with thousands of them.
  if (++counts[name] <= 200) port.postMessage({ kind, writer, ...what })
}

/** @typedef {{ key: number, numbers: number[] }} Value */

const { redis, close } = await clientOf(client, { fields: shape.fields, log: shape.log, mutant })

const cache = /** @type {import('../../../src/tier/tier.js').TieredCache<Value>} */ (
  new TieredCache({
    name: 'nemesis',
    namespace: 'nemesis',
    redis,
    // What one process has no room for, or keeps for a short while, it has to read from Redis.
    max: index === 0 ? shape.keys / 2 : shape.keys * 4,
    localTtl: index === 2 ? 200 : Number.POSITIVE_INFINITY,
    ttl: TTL,
    maxStaleness: STALENESS,
    near: index === 1 ? false : {},
    // One process waits for the loads of others, and others for its.
    loadLease: index === 2 ? 200 : 0,
  })
)

// What is true of a get.

const keyName = (/** @type {number} */ key) => `k${key}`

/**
 * What a value of `key` must at least hold if its get begins at `at`: by writer, what settled in this process, and then
 * what was acknowledged so long ago that it must be seen everywhere.
 */
function floorOf(/** @type {number} */ key, /** @type {number} */ at) {
  const floor = new Uint32Array(2 * WRITERS)
  history.copy(key, at - STALENESS, floor)
  const from = key * WRITERS
  for (let each = 0; each < WRITERS; each++) floor[WRITERS + each] = Atomics.load(settled, from + each)
  return floor
}

/** @param {number} key @param {Value | undefined} value @param {Uint32Array} floor @param {number} at */
function compare(key, value, floor, at, how = '') {
  if (value === undefined) return
  counts.gets++
  const { numbers } = value
  if (value.key !== key) {
    report('violation', { promise: 'key', key, value, how })
    return
  }
  for (let each = 0; each < WRITERS; each++) {
    const number = numbers[each] ?? 0
    const isOld = number < (floor[each] ?? 0)
    if (!isOld && number >= (floor[WRITERS + each] ?? 0)) continue
    const promise = isOld ? 'T2' : 'T1'
    report('violation', { promise, key, value, floor: [...floor], by: each, how, at, took: now() - at })
    return
  }
}

// Reads.

const loading = [{}, { staleIfError: 2_000 }, { refreshAhead: 0.5 }, { staleWhileRevalidate: 1_000 }, {}, {}]

function load(/** @type {number} */ key) {
  return async (/** @type {{ tags: readonly string[] | undefined }} */ context) => {
    counts.loads++
    const value = { key, numbers: [...ledger.truth(key)] }
    context.tags = tagsOf(shape, key)
    if (Math.random() < 0.7) await sleep(Math.random() * 12)
    if (Math.random() < 0.02) throw new Error('a load that fails')
    return value
  }
}

/** What this process holds, over and over: it must be gone at the end of the lease, to the ms. */
function readLocal() {
  for (let n = 0; n < LOCAL_READS; n++) {
    const key = below(shape.keys)
    const at = now()
    const floor = floorOf(key, at)
    compare(key, cache.getLocal(keyName(key)), floor, at, 'getLocal')
  }
}

async function readOne() {
  const key = below(shape.keys)
  const chance = Math.random()
  if (cache.state !== 'ok') counts.suspended++
  const at = now()
  const floor = floorOf(key, at)
  if (chance < 0.02) {
    compare(key, cache.getLocal(keyName(key)), floor, at, 'getLocal')
  } else if (chance < 0.04) {
    compare(key, await cache.get(keyName(key)), floor, at, 'get')
  } else if (chance < 0.05) {
    const keys = [key, below(shape.keys), below(shape.keys)]
    const floors = keys.map((each) => floorOf(each, at))
    const values = await cache.getMany(keys.map(keyName))
    for (const [n, each] of keys.entries())
      compare(each, values[n], /** @type {Uint32Array} */ (floors[n]), at, 'getMany')
  } else if (chance < 0.052) {
    await fillOne(key)
  } else {
    // What Redis serves while the lease is held may be no older than what was acknowledged before.
    const isStrict = Math.random() < 0.05 && cache.state === 'ok'
    const suspendedReads = isStrict ? cache.stats().suspendedReads : 0
    const acknowledged = isStrict ? ledger.acknowledged(key) : undefined
    const status = /** @type {{ source?: string }} */ ({})
    const options = { ...loading[below(loading.length)], status, forceRefresh: Math.random() < 0.001 }
    const value = await cache.getOrSet(keyName(key), load(key), /** @type {never} */ (options))
    compare(key, value, floor, at, status.source)
    if (status.source !== 'remote') return
    counts.remote++
    if (acknowledged === undefined || cache.stats().suspendedReads !== suspendedReads) return
    if (value.numbers.some((number, each) => number < (acknowledged[each] ?? 0))) {
      report('violation', { promise: 'T3', key, value, floor: [...acknowledged], at })
    }
  }
}

/** Loads outside of the cache, and stores what it had when the load began. */
async function fillOne(/** @type {number} */ key) {
  const fence = cache.fence()
  const value = { key, numbers: [...ledger.truth(key)] }
  await sleep(Math.random() * 12)
  await cache.set(keyName(key), value, { fence, tags: tagsOf(shape, key) })
}

const expected = /^a load that fails$/

async function read() {
  while (!isOver) {
    for (let n = 0; n < pace && !isOver; n++) {
      readLocal()
      await readOne().catch((error) => {
        if (!expected.test(error?.message)) report('error', { error: String(error?.stack ?? error) })
      })
    }
    // The network is looked at between.
    if (Math.random() < 0.3) await sleep(Math.random() * 4)
    else await new Promise((resolve) => setImmediate(resolve))
  }
}

// Changes.

/** By key: the number of this writer's last change. */
const numbers = new Uint32Array(shape.keys)
for (let key = 0; key < shape.keys; key++) numbers[key] = ledger.truth(key)[writer] ?? 0
/** By key: until when it is left alone. */
const restUntil = new Float64Array(shape.keys)

const isOwn = (/** @type {number} */ key) => key % WRITERS === writer
const canChange = (/** @type {number} */ key) =>
  (shape.rest === 0 || (isOwn(key) && now() >= (restUntil[key] ?? 0))) && key >= shape.setKeys

/** @param {readonly number[]} keys @param {() => Promise<unknown>} change */
async function changeAll(keys, change) {
  const changed = keys.map((key) => {
    const number = (numbers[key] ?? 0) + 1
    numbers[key] = number
    restUntil[key] = now() + shape.rest
    ledger.setTruth(key, writer, number)
    return { key, number }
  })
  counts.changes++
  let isAcknowledged = false
  try {
    await change()
    isAcknowledged = true
    counts.acknowledged++
  } catch (error) {
    const { code } = /** @type {{ code?: string }} */ (error)
    if (code !== 'ERR_CACHE_CHANGE_PENDING') {
      report('error', { error: String(/** @type {Error} */ (error).stack) })
      return
    }
    counts.pending++
  }
  for (const { key, number } of changed) {
    const cell = key * WRITERS + writer
    // Changes of one key may overlap: what settled last may be an earlier one.
    if (number > Atomics.load(settled, cell)) Atomics.store(settled, cell, number)
    if (!isAcknowledged) continue
    if (number > (ledger.acknowledged(key)[writer] ?? 0)) ledger.setAcknowledged(key, writer, number)
  }
}

function someKey(/** @type {(key: number) => boolean} */ isRight) {
  for (let tries = 0; tries < 50; tries++) {
    const key = below(shape.keys)
    if (isRight(key)) return key
  }
  return undefined
}

async function changeOne() {
  const chance = Math.random()
  if (chance < 0.15) {
    const key = someKey((each) => each < shape.setKeys && isOwn(each) && now() >= (restUntil[each] ?? 0))
    if (key === undefined) return
    counts.sets++
    await changeAll([key], () => {
      const value = { key, numbers: [...ledger.truth(key)] }
      return cache.set(keyName(key), value, { tags: tagsOf(shape, key) })
    })
    return
  }
  const key = someKey(canChange)
  if (key === undefined) return
  if (chance < 0.55) await changeAll([key], () => cache.delete(keyName(key)))
  else if (chance < 0.65) {
    const keys = [...new Set([key, someKey(canChange) ?? key, someKey(canChange) ?? key])]
    await changeAll(keys, () => cache.deleteMany(keys.map(keyName)))
  } else if (chance < (shape.rest > 0 ? 0.999 : 0.99)) {
    const tag = tagsOf(shape, key)[below(2)] ?? ''
    await changeAll(keysOfTag(shape, tag).filter(canChange), () => cache.invalidateTag(tag))
  } else {
    const keys = Array.from({ length: shape.keys }, (_, each) => each).filter(canChange)
    await changeAll(keys, () => cache.clear())
  }
}

async function change() {
  while (!isOver) {
    await changeOne()
    await sleep(Math.random() * shape.pause)
  }
}

// Orders.

function tell() {
  Object.assign(counts, tampered)
  port.postMessage({ kind: 'counts', writer, counts })
}
const telling = setInterval(tell, 250)

const follows = () => cache.health().lease.follower

port.on('message', async (order) => {
  if (order === 'follower?') port.postMessage({ kind: 'follower', follows: follows() })
  else if (order.block !== undefined)
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, order.block)
  else if (order === 'end') {
    isOver = true
    await work
    clearInterval(telling)
    await cache.close()
    await close()
    tell()
    port.postMessage({ kind: 'ended' })
    ledger.close()
    port.close()
  }
})

await cache.ready(AbortSignal.timeout(20_000)).catch((error) => {
  if (!isOver) throw error
})
port.postMessage({ kind: 'ready' })
if (!isOver) {
  work = Promise.all([...Array.from({ length: READERS }, read), ...Array.from({ length: CHANGERS }, change)])
}
