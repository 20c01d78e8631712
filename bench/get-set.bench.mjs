// What do one get and one set cost?

import assert from 'node:assert/strict'
import { LRUCache } from 'lru-cache'
import { Cache, isRustCacheAvailable, rustCacheLoadError } from 'sark-cache'
import { interleave, latencies } from './lib/interleave.mjs'
import { weight } from './lib/loops.mjs'
import { startRedis } from './lib/redis.mjs'
import { digits, printTable } from './lib/table.mjs'
import {
  askedKeys,
  askedValues,
  meanBytes,
  missingKeys,
  newKeys,
  RESIDENT,
  residentKeys,
  residentValues,
  values,
} from './lib/workload.mjs'

/** @typedef {import('./lib/interleave.mjs').Candidate} Candidate */
/** @typedef {import('./lib/loops.mjs').Store} Store */
/** @typedef {import('./lib/redis.mjs').RedisServer} RedisServer */
/** @typedef {import('./lib/workload.mjs').Decision} Decision */

/**
 * @typedef {object} Contender
 * @property {string} name
 * @property {(evicts: boolean) => Store | Promise<Store>} open Opens a store without entries. If it evicts,
 *   it holds no more than {@link RESIDENT}.
 * @property {() => Promise<void>} [bound] Called when the store is filled, if it is to evict.
 * @property {(store: Store) => number | Promise<number>} count How many entries the store holds.
 * @property {boolean} isRemote Whether the store answers with promises.
 */

/**
 * One kind of operation.
 *
 * @typedef {object} Question
 * @property {string} title
 * @property {'hits' | 'misses' | 'sets'} loop
 * @property {readonly string[]} keys
 * @property {boolean} [evicts]
 */

/** Long enough for nothing to expire meanwhile, in ms. */
const TTL = 600_000

/** Operations of one candidate in one round: where they are timed together, and where they are singly. */
const BATCH = { local: 10_000, remote: 200 }
const BLOCK = { local: 500, remote: 50 }

/** What is asked of the cache: ms for one operation, and how many times that Redis takes. */
const LIMIT = 0.5
const FACTOR = 50

const SARK = 'sark-cache'
const SARK_JS = 'sark-cache, js engine'
const LRU = 'lru-cache'
const REDIS = 'Redis'

/** A map in which a new key takes the place of the oldest one. */
class FifoMap extends Map {
  // A new iterator for each eviction would pass over the places of all keys deleted before.
  #oldest = this.keys()

  /**
   * @param {string} key
   * @param {unknown} value
   */
  set(key, value) {
    if (this.size === RESIDENT) this.delete(this.#oldest.next().value)
    return super.set(key, value)
  }
}

/** A map that holds values as JSON. */
class JsonMap {
  #map

  /** @param {Map<string, string>} map */
  constructor(map) {
    this.#map = map
  }

  /** @param {string} key */
  get(key) {
    const text = this.#map.get(key)
    return text === undefined ? undefined : JSON.parse(text)
  }

  /**
   * @param {string} key
   * @param {Decision} value
   */
  set(key, value) {
    this.#map.set(key, JSON.stringify(value))
    return true
  }

  get size() {
    return this.#map.size
  }
}

class RedisStore {
  #client

  /** @param {import('ioredis').Redis} client */
  constructor(client) {
    this.#client = client
  }

  /** @param {string} key */
  async get(key) {
    const text = await this.#client.get(key)
    return text === null ? undefined : JSON.parse(text)
  }

  /**
   * @param {string} key
   * @param {Decision} value
   */
  async set(key, value) {
    return (await this.#client.set(key, JSON.stringify(value), 'PX', TTL)) === 'OK'
  }
}

/** @type {Contender['count']} */
const sizeOf = (store) => /** @type {Store & { size: number }} */ (store).size

/** @type {Contender[]} */
const contenders = []
if (isRustCacheAvailable()) {
  const open = () => new Cache({ max: RESIDENT, ttl: TTL, engine: 'rust' })
  contenders.push({ name: SARK, open, count: sizeOf, isRemote: false })
} else {
  console.log(`The row of the native engine is skipped: ${rustCacheLoadError()?.message}.`)
}
contenders.push(
  {
    name: SARK_JS,
    open: () => new Cache({ max: RESIDENT, ttl: TTL, engine: 'js' }),
    count: sizeOf,
    isRemote: false,
  },
  {
    name: LRU,
    open: () => new LRUCache({ max: RESIDENT, ttl: TTL }),
    count: sizeOf,
    isRemote: false,
  },
  {
    name: 'Map + JSON',
    open: (evicts) => new JsonMap(evicts ? new FifoMap() : new Map()),
    count: sizeOf,
    isRemote: false,
  },
  {
    name: 'Map',
    open: (evicts) => (evicts ? new FifoMap() : new Map()),
    count: sizeOf,
    isRemote: false,
  },
)
const baseline = isRustCacheAvailable() ? SARK : SARK_JS

const redis = await startRedis()
try {
  if (redis !== undefined) contenders.push(redisContender(redis))
  await main()
} finally {
  await redis?.stop()
}

/**
 * @param {RedisServer} server
 * @returns {Contender}
 */
function redisContender({ client }) {
  return {
    name: REDIS,
    open: async () => {
      await client.config('SET', 'maxmemory', '0')
      await client.flushall()
      return new RedisStore(client)
    },
    // Redis bounds bytes, not entries: the bound is what the resident entries take.
    bound: async () => {
      const used = /used_memory:(\d+)/.exec(await client.info('memory'))?.[1] ?? ''
      await client.config('SET', 'maxmemory', used, 'maxmemory-policy', 'allkeys-lru')
    },
    count: () => client.dbsize(),
    isRemote: true,
  }
}

/** @param {Store} store */
async function fill(store) {
  await Promise.all(
    residentKeys.map((key, at) => store.set(key, /** @type {Decision} */ (residentValues[at]))),
  )
}

async function main() {
  printNotes()
  /** @type {Question[]} */
  const questions = [
    { title: 'get, hit', loop: 'hits', keys: askedKeys },
    { title: 'get, miss', loop: 'misses', keys: missingKeys },
    { title: 'set, overwriting', loop: 'sets', keys: askedKeys },
    { title: 'set, new key at capacity, evicting', loop: 'sets', keys: newKeys, evicts: true },
  ]
  for (const question of questions) await printCosts(question)
  const [get, , set] = /** @type {[Question, Question, Question, Question]} */ (questions)
  await printLatencies(get, set)
  console.log('\nAll sums of the results are as expected.')
}

function printNotes() {
  console.log(`
${RESIDENT} entries, keys like ${residentKeys[0]}, decisions of about ${Math.round(meanBytes)} bytes of JSON.
Keys are asked for with Zipf frequencies (exponent 0.99), all candidates for the same ones in the same order.

- A get of sark-cache and of Map + JSON parses the JSON: each caller has a private copy. lru-cache and Map
  return the very object that was stored, which every caller can change for all others. Of the set it is the
  same: sark-cache and Map + JSON write JSON, lru-cache and Map keep a reference.
- Key strings exist beforehand, so V8 has computed their hashes; lru-cache and Map need no more than that.
- Map has no TTL. At capacity it drops the oldest entry, not the least recently used one.
- Redis is reached by ioredis on a unix socket, one command at a time as a request would wait for it. Commands
  sent together cost less each. At capacity it is bound by bytes (maxmemory, allkeys-lru).
- sark-cache, lru-cache and Redis have a TTL of ${TTL / 1000} s on every entry.`)
}

/**
 * Opens and fills the stores and makes the loops over them.
 *
 * @param {readonly Contender[]} contestants
 * @param {Question} question
 * @param {{ local: number, remote: number }} ops
 */
async function prepare(contestants, { loop, keys, evicts = false }, ops) {
  return Promise.all(
    contestants.map(async ({ name, open, bound, count, isRemote }) => {
      const store = await open(evicts)
      await fill(store)
      assert.equal(await count(store), RESIDENT, `entries of ${name}`)
      if (evicts) await bound?.()
      /** @type {typeof import('./lib/loops.mjs')} */
      const loops = await import(`./lib/loops.mjs?${encodeURIComponent(name)}`)
      const run = loops[isRemote ? /** @type {const} */ (`${loop}Awaited`) : loop](store, keys, values)
      return { name, ops: isRemote ? ops.remote : ops.local, run, store, count, isRemote }
    }),
  )
}

/**
 * Checks what the loops did.
 *
 * @param {Awaited<ReturnType<typeof prepare>>} lanes
 * @param {Question} question
 * @param {readonly { name: string, sum: number, ops: number }[]} results
 */
async function verify(lanes, { loop, keys, evicts = false }, results) {
  for (const { name, store, count, isRemote } of lanes) {
    const result = results.find((each) => each.name === name)
    assert.ok(result !== undefined)
    const { sum, ops } = result
    assert.equal(sum, loop === 'hits' ? sumOfHits(ops) : ops, `sum of ${name}`)
    if (loop === 'sets') {
      const last = ops - 1
      assert.deepEqual(await store.get(at(keys, last)), at(values, last), `last value of ${name}`)
    }
    const held = await count(store)
    // Redis counts bytes, those of its own buffers included.
    if (evicts && isRemote) assert.ok(Math.abs(held - RESIDENT) < RESIDENT / 10, `${held} entries of ${name}`)
    else assert.equal(held, RESIDENT, `entries of ${name}`)
    if (store instanceof Cache) store.close()
  }
}

/**
 * The sum of the first `ops` reads of {@link askedKeys}.
 *
 * @param {number} ops
 */
function sumOfHits(ops) {
  let sum = 0
  for (let op = 0; op < ops; op++) sum += weight(at(askedValues, op))
  return sum
}

/**
 * @template T
 * @param {readonly T[]} items
 * @param {number} place From 0; beyond the last item it begins again.
 */
function at(items, place) {
  return /** @type {T} */ (items[place % items.length])
}

/** @param {Question} question */
async function printCosts(question) {
  const lanes = await prepare(contenders, question, BATCH)
  const timings = await interleave(lanes, { baseline })
  await verify(lanes, question, timings)
  printTable(
    question.title,
    ['', 'ns/op', 'p25', 'p75', `x ${baseline}`],
    timings.map(({ name, median, p25, p75, ratio }) => [name, ...[median, p25, p75, ratio].map(digits)]),
  )
}

/**
 * @param {Question} get
 * @param {Question} set
 */
async function printLatencies(get, set) {
  const contestants = contenders.filter(({ name }) => [baseline, LRU, REDIS].includes(name))
  /** @type {string[]} */
  const checks = []
  /** @type {string[][]} */
  const rows = []
  for (const [title, question] of /** @type {const} */ ([
    ['get', get],
    ['set', set],
  ])) {
    const lanes = await prepare(contestants, question, BLOCK)
    const results = await latencies(lanes)
    await verify(lanes, question, results)
    const own = results.find(({ name }) => name === baseline)
    assert.ok(own !== undefined)
    const remote = results.find(({ name }) => name === REDIS)
    for (const { name, samples, p50, p95, p99 } of results) {
      rows.push([`${title}, ${name}`, ...[p50, p95, p99].map(digits), `${samples}`])
    }
    checks.push(`${title} p95 under ${LIMIT} ms: ${yesNo(own.p95 < LIMIT * 1000)} (${digits(own.p95)} µs)`)
    if (remote !== undefined) {
      const [p50, p95] = [remote.p50 / own.p50, remote.p95 / own.p95]
      rows.push([`${title}, ${REDIS} / ${baseline}`, `${digits(p50)} x`, `${digits(p95)} x`, '', ''])
      for (const [percentile, ratio] of /** @type {const} */ ([
        ['p50', p50],
        ['p95', p95],
      ])) {
        const check = `${title} ${percentile}: Redis at least ${FACTOR} x slower`
        checks.push(`${check}: ${yesNo(ratio >= FACTOR)} (${digits(ratio)} x)`)
      }
    }
  }
  printTable(
    'Single operations, one at a time, in µs (the time of the timer included)',
    ['', 'p50', 'p95', 'p99', 'samples'],
    rows,
  )
  console.log('')
  for (const check of checks) console.log(check)
}

/** @param {boolean} is */
function yesNo(is) {
  return is ? 'yes' : 'no'
}
