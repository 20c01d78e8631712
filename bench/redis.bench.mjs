// How long does a get or a set take, beside Redis on the same machine?

import assert from 'node:assert/strict'
import { createClient } from 'redis'
import { Cache } from 'sark-cache'
import { digits } from './lib/chart.mjs'
import { latencies, scaled, times } from './lib/compare.mjs'
import { NEAR, requireNativeEngine } from './lib/contenders.mjs'
import { weight } from './lib/loops.mjs'
import { startRedis } from './lib/processes.mjs'
import { atLeast, atMost, printTable, writeReport } from './lib/report.mjs'
import { askedKeys, askedValues, RESIDENT, residentKeys, residentValues, values } from './lib/workload.mjs'

/** @typedef {import('./lib/workload.mjs').Decision} Decision */
/** @typedef {import('./lib/loops.mjs').Store} Store */
/** @typedef {import('./lib/compare.mjs').Latency} Latency */

/** Long enough for nothing to expire meanwhile, in ms. */
const TTL = 600_000
/** Operations of ours that are timed at once. */
const BATCH = 16
const IN_FLIGHT = 64

/** Targets of the system that this one replaces: µs for a p95, and how many times as long Redis takes. */
const LIMIT = 500
const FACTORS = [10, 50]
/** What is wanted of this one. */
const FACTOR = 100

const SINGLE = `${NEAR}, timed singly`
const BATCHED = `${NEAR}, ${BATCH} timed at once`
const TIMER = 'the timer alone'
const CLIENTS = ['ioredis', 'redis']

requireNativeEngine()
const redis = await startRedis()
if (redis === undefined) process.exit(0)
try {
  await main(redis)
} finally {
  await redis.stop()
}

/** @param {import('./lib/processes.mjs').RedisServer} server */
async function main({ client: ioredis, socket, version }) {
  const notes = [
    `${RESIDENT} entries, decisions of about 100 bytes of JSON, asked for with Zipf frequencies (exponent 0.99). TTL ${TTL / 1000} s.`,
    `Redis is reached on a unix socket; values are written and read as JSON. One at a time is what a request waits for; with ${IN_FLIGHT} in flight the clients send many commands together, and each waits for others.`,
    `"${SINGLE}" includes what the timer takes, as do all rows; "${BATCHED}" hardly does, but shows ${BATCH} operations as if all took their mean.`,
  ]
  console.log(`\n${notes.join('\n')}`)
  const nodeRedis = createClient({ socket: { path: socket, tls: false } })
  await nodeRedis.connect()

  const cache = new Cache({ max: RESIDENT, ttl: TTL, engine: 'rust' })
  /** @type {Record<string, Store>} */
  const remote = {
    ioredis: {
      get: async (key) => JSON.parse((await ioredis.get(key)) ?? 'null'),
      set: async (key, value) => (await ioredis.set(key, JSON.stringify(value), 'PX', TTL)) === 'OK',
    },
    redis: {
      get: async (key) => JSON.parse((await nodeRedis.get(key)) ?? 'null'),
      set: async (key, value) => {
        const expiration = { type: /** @type {const} */ ('PX'), value: TTL }
        return (await nodeRedis.set(key, JSON.stringify(value), { expiration })) === 'OK'
      },
    },
  }
  await Promise.all(
    residentKeys.map((key, at) => {
      const value = /** @type {Decision} */ (residentValues[at])
      cache.set(key, value)
      return remote.ioredis?.set(key, value)
    }),
  )
  assert.equal(await ioredis.dbsize(), RESIDENT)

  const measured = [await measure('get', cache, remote), await measure('set', cache, remote)]
  for (const store of [cache, ...Object.values(remote)]) {
    const key = /** @type {string} */ (residentKeys[0])
    assert.equal(typeof (/** @type {Decision} */ (await store.get(key)).policy), 'number')
  }
  assert.equal(cache.size, RESIDENT)
  cache.close()
  await nodeRedis.close()
  report(measured, notes, version)
}

/**
 * @param {'get' | 'set'} operation
 * @param {Store} cache
 * @param {Record<string, Store>} remote
 */
async function measure(operation, cache, remote) {
  const loop = operation === 'get' ? 'hits' : 'sets'
  /** @param {string} name */
  const copies = async (name) => {
    const query = encodeURIComponent(`${operation} ${name}`)
    /** @type {[typeof import('./lib/loops.mjs'), typeof import('./lib/loops.mjs')]} */
    const [loops, samplers] = await Promise.all([
      import(`./lib/loops.mjs?${query}`),
      import(`./lib/loops.mjs?${query}`),
    ])
    return { loops, samplers }
  }
  /** @type {(name: string, ops: number, samples: number) => Promise<import('./lib/compare.mjs').Lane>} */
  const own = async (name, ops, samples) => {
    const { loops, samplers } = await copies(name)
    return { name, ops, samples, sample: samplers.atOnce(loops[loop](cache, askedKeys, values), ops) }
  }
  /** @type {(of: string, inFlight: number, samples: number) => Promise<import('./lib/compare.mjs').Lane>} */
  const other = async (of, inFlight, samples) => {
    const name = laneOf(of, inFlight)
    const { loops, samplers } = await copies(name)
    const run = loops[`${loop}Awaited`](/** @type {Store} */ (remote[of]), askedKeys, values)
    return { name, ops: 1, samples, sample: samplers.underWay(run, inFlight) }
  }
  const { samplers } = await copies(TIMER)
  const lanes = await Promise.all([
    own(SINGLE, 1, scaled(2_000, 500)),
    own(BATCHED, BATCH, scaled(500, 200)),
    ...CLIENTS.map((of) => other(of, 1, scaled(300, 100))),
    ...CLIENTS.map((of) => other(of, IN_FLIGHT, scaled(2_000, 500))),
    { name: TIMER, ops: 1, samples: 1_000, sample: samplers.atOnce(() => 0, 1) },
  ])
  const results = await latencies(lanes)
  for (const { name, sum, ops } of results) {
    if (name !== TIMER) assert.equal(sum, operation === 'get' ? sumOfHits(ops) : ops, `sum of ${name}`)
  }
  printTable(
    `${operation}, in µs`,
    ['', 'p50', 'p95', 'p99', 'an operation', 'samples'],
    results.map(({ name, p50, p95, p99, each, samples }) => [
      name,
      ...[p50, p95, p99, each].map(digits),
      `${samples}`,
    ]),
  )
  const ratios = CLIENTS.flatMap((of) =>
    [1, IN_FLIGHT].flatMap((inFlight) =>
      [SINGLE, BATCHED].map((own) => ({
        of: laneOf(of, inFlight),
        by: own,
        ...times(named(results, laneOf(of, inFlight)), named(results, own)),
      })),
    ),
  )
  printTable(
    `${operation}, how many times as long`,
    ['', 'p50', 'p25', 'p75', 'p95', 'p25', 'p75'],
    ratios.map(({ of, by, p50, p95 }) => [
      `${of} / ${by}`,
      ...[p50.median, p50.p25, p50.p75, p95.median, p95.p25, p95.p75].map(digits),
    ]),
  )
  return { operation, results, ratios }
}

/**
 * @param {string} client
 * @param {number} inFlight
 */
function laneOf(client, inFlight) {
  return inFlight === 1 ? `${client}, one at a time` : `${client}, ${inFlight} in flight`
}

/**
 * @param {readonly Latency[]} results
 * @param {string} name
 */
function named(results, name) {
  const found = results.find((each) => each.name === name)
  assert.ok(found !== undefined)
  return found
}

/**
 * The sum of the first `ops` reads of {@link askedKeys}.
 *
 * @param {number} ops
 */
function sumOfHits(ops) {
  let sum = 0
  for (let op = 0; op < ops; op++)
    sum += weight(/** @type {Decision} */ (askedValues[op % askedValues.length]))
  return sum
}

/**
 * @param {readonly Awaited<ReturnType<typeof measure>>[]} measured
 * @param {readonly string[]} notes
 * @param {string} version
 */
function report(measured, notes, version) {
  const checks = measured.flatMap(({ operation, results, ratios }) => [
    atMost(`${operation}: p95 of ${SINGLE}, µs`, named(results, SINGLE).p95, LIMIT),
    ...ratios
      .filter(({ of, by }) => by === BATCHED && of.endsWith('one at a time'))
      .flatMap(({ of, p50, p95 }) => [
        atLeast(`${operation}: p50 of ${of} / ${NEAR}`, p50.median, FACTOR),
        atLeast(`${operation}: p95 of ${of} / ${NEAR}`, p95.median, FACTOR),
      ]),
  ])
  writeReport({
    name: 'redis',
    question: 'How long does an operation take, beside Redis on the same machine?',
    packages: CLIENTS,
    versions: { 'redis-server': version },
    notes,
    checks,
    results: {
      unit: 'µs',
      operations: measured.map(({ operation, results, ratios }) => ({
        operation,
        latencies: results.map(({ name, p50, p95, p99, each, samples }) => ({
          name,
          p50,
          p95,
          p99,
          each,
          samples,
        })),
        ratios,
      })),
    },
    panels: measured.map(({ operation, results }) => {
      const fastest = Math.min(...CLIENTS.map((of) => named(results, laneOf(of, 1)).p50))
      return {
        kind: 'bars',
        title: `${operation}: µs, p50 with p95`,
        log: true,
        bars: results.map(({ name, p50, p95 }) => ({ name, value: p50, low: p50, high: p95 })),
        marks: [
          { name: `0.5 ms`, at: LIMIT },
          ...FACTORS.map((factor) => ({ name: `Redis / ${factor}`, at: fastest / factor })),
        ],
      }
    }),
  })
}
