// What does a second tier cost, beside the client alone, and does a load that was overtaken stay in it?

import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { freePort } from '../scripts/servers.mjs'
import { digits } from './lib/chart.mjs'
import { latencies, scaled } from './lib/compare.mjs'
import { startRedis } from './lib/processes.mjs'
import { printTable, writeReport } from './lib/report.mjs'
import { CONTENDERS, TTL } from './lib/tier-contenders.mjs'

const KEYS = 1_000
const VALUE = { allowed: true, reason: 'x'.repeat(150) }

/**
 * @param {(at: number) => Promise<unknown>} once
 * @param {number} inFlight
 */
function sampler(once, inFlight) {
  let done = 0
  return async (/** @type {Float64Array} */ times) => {
    let next = 0
    const lane = async () => {
      while (next < times.length) {
        const at = next++
        const start = performance.now()
        await once(done++)
        times[at] = (performance.now() - start) * 1e3
      }
    }
    await Promise.all(Array.from({ length: inFlight }, lane))
    return times.length
  }
}

/**
 * Whether a load that was overtaken by a change elsewhere is served afterwards, by the process that loaded or another.
 *
 * @param {typeof import('./lib/tier-contenders.mjs').ours} open
 * @param {import('./lib/tier-contenders.mjs').At} at
 */
async function keepsOvertaken(open, at) {
  const [loader, changer, reader] = await Promise.all([open(at, true), open(at, true), open(at, true)])
  let end = () => {}
  let loads = 0
  const loading = loader.getOrSet('overtaken', () => {
    if (++loads > 1) return Promise.resolve('new')
    return new Promise((resolve) => {
      end = () => resolve('old')
    })
  })
  await sleep(50)
  await changer.remove('overtaken')
  await sleep(50)
  end()
  await loading
  await sleep(200)
  const found = [await reader.get('overtaken'), await loader.get('overtaken')]
  await Promise.all([loader, changer, reader].map((each) => each.close()))
  return found.includes('old')
}

/**
 * How long after a change begins another process has let go of what it held, in µs, sorted.
 *
 * @param {string} name
 * @param {import('./lib/tier-contenders.mjs').At} at
 */
async function propagation(name, at) {
  const child = fork(new URL('./lib/tier-child.mjs', import.meta.url), [name, JSON.stringify(at)])
  const told = async () => /** @type {any} */ ((await once(child, 'message'))[0])
  const changer = await CONTENDERS[/** @type {keyof typeof CONTENDERS} */ (name)](at, true)
  try {
    await told()
    const times = new Float64Array(scaled(300, 30))
    for (const place of times.keys()) {
      child.send(place)
      await told()
      await sleep(3)
      const gone = told()
      const start = process.hrtime.bigint()
      await changer.remove(`held${place}`)
      times[place] = Number(BigInt(await gone) - start) / 1e3
    }
    return times.sort()
  } finally {
    child.kill('SIGKILL')
    await changer.close()
  }
}

const port = await freePort()
const server = await startRedis(port)
if (server === undefined) process.exit(0)
const { client, socket, version, stop } = server

/** What the server has used of a CPU, in µs. */
async function cpu() {
  const info = await client.info('cpu')
  const used = (/** @type {RegExp} */ what) => Number(what.exec(info)?.[1])
  return (used(/used_cpu_user:(\S+)/) + used(/used_cpu_sys:(\S+)/)) * 1e6
}

try {
  /** @type {Record<string, unknown>[]} */
  const rows = []
  /** @type {Record<string, boolean>} */
  const overtaken = {}
  for (const [name, open] of Object.entries(CONTENDERS))
    overtaken[name] = await keepsOvertaken(open, { path: socket })

  for (const [transport, at] of /** @type {[string, import('./lib/tier-contenders.mjs').At][]} */ ([
    ['unix socket', { path: socket }],
    ['TCP', { host: '127.0.0.1', port }],
  ])) {
    await client.flushall()
    const raw = new Redis(at)
    const key = (/** @type {number} */ n) => `k${n % KEYS}`
    for (let n = 0; n < KEYS; n++) await raw.set(`raw:${key(n)}`, JSON.stringify(VALUE), 'PX', TTL)
    const rawGet = async (/** @type {number} */ n) => JSON.parse((await raw.get(`raw:${key(n)}`)) ?? 'null')
    const rawFill = (/** @type {number} */ n) => raw.set(`raw:new${n}`, JSON.stringify(VALUE), 'PX', TTL)
    /** @type {{ what: string, name: string, once: (n: number) => Promise<unknown>, inFlight: number, samples: number }[]} */
    const lanes = [
      { what: 'hit in Redis', name: 'ioredis', once: rawGet, inFlight: 1, samples: scaled(200, 50) },
      {
        what: 'hit in Redis, 64 at a time',
        name: 'ioredis',
        once: rawGet,
        inFlight: 64,
        samples: scaled(2_000, 200),
      },
      {
        what: 'miss and fill',
        name: 'ioredis',
        once: async (n) => (await raw.get(`raw:new${n}`)) ?? rawFill(n),
        inFlight: 1,
        samples: scaled(200, 50),
      },
    ]
    /** @type {import('./lib/tier-contenders.mjs').Tiered[]} */
    const opened = []
    for (const [name, open] of Object.entries(CONTENDERS)) {
      const [near, far] = await Promise.all([open(at, true), open(at, false)])
      opened.push(near, far)
      for (let n = 0; n < KEYS; n++) await near.getOrSet(key(n), async () => VALUE)
      await sleep(100)
      assert.deepEqual(await far.get(key(1)), VALUE, name)
      lanes.push(
        {
          what: 'hit in memory',
          name,
          once: (n) => near.getOrSet(key(n), async () => VALUE),
          inFlight: 1,
          samples: scaled(2_000, 500),
        },
        { what: 'hit in Redis', name, once: (n) => far.get(key(n)), inFlight: 1, samples: scaled(200, 50) },
        {
          what: 'hit in Redis, 64 at a time',
          name,
          once: (n) => far.get(key(n)),
          inFlight: 64,
          samples: scaled(2_000, 200),
        },
        {
          what: 'miss and fill',
          name,
          once: (n) => near.getOrSet(`${name}new${n}`, async () => VALUE),
          inFlight: 1,
          samples: scaled(200, 50),
        },
      )
    }
    const timed = await latencies(
      lanes.map(({ what, name, once, inFlight, samples }) => ({
        name: `${what}: ${name}`,
        ops: 1,
        samples,
        sample: sampler(once, inFlight),
      })),
    )
    for (const [place, { what, name, once, inFlight }] of lanes.entries()) {
      const { p50, p95, each } = /** @type {import('./lib/compare.mjs').Latency} */ (timed[place])
      const calls = scaled(5_000, 500)
      const before = await cpu()
      await sampler((n) => once(n + 1e7), inFlight)(new Float64Array(calls))
      const used = what === 'hit in memory' ? 0 : ((await cpu()) - before) / calls
      rows.push({
        transport,
        what,
        name,
        p50,
        p95,
        perSecond: 1e6 / each,
        redis: used,
        overtaken: overtaken[name],
      })
    }
    await Promise.all(opened.map((each) => each.close()))
    raw.disconnect()
    // Memory of cacheable hears nothing of other processes.
    for (const name of ['sark-cache', 'bentocache', 'node-redis']) {
      const times = await propagation(name, at)
      const of = (/** @type {number} */ part) => times[Math.floor(times.length * part)]
      const row = { p50: of(0.5), p95: of(0.95), p99: of(0.99), overtaken: overtaken[name] }
      rows.push({
        transport,
        what: 'change applied elsewhere',
        name,
        ...row,
        perSecond: Number.NaN,
        redis: Number.NaN,
      })
    }
  }
  const shown =
    /** @type {{ transport: string, what: string, name: string, p50: number, p95: number, perSecond: number, redis: number, overtaken: boolean | undefined }[]} */ (
      rows
    )
  printTable(
    'µs',
    ['', 'p50', 'p95', 'a second', 'of Redis', 'stale fill possible?'],
    shown.map(({ transport, what, name, p50, p95, perSecond, redis, overtaken: is }) => [
      `${what}, ${transport}: ${name}`,
      digits(p50),
      digits(p95),
      Number.isNaN(perSecond) ? '' : digits(perSecond),
      Number.isNaN(redis) ? '' : digits(redis),
      is === undefined ? '' : is ? 'yes' : 'no',
    ]),
  )
  writeReport({
    name: 'tier',
    question: 'What does a second tier cost, beside the client alone?',
    packages: ['bentocache', 'cacheable', '@keyv/redis', 'ioredis', 'redis'],
    versions: { 'redis-server': version },
    notes: [
      `Values of ${JSON.stringify(VALUE).length} bytes of JSON. Hits in Redis are those of a cache that keeps nothing in memory.`,
      'A stale fill was tried: a change elsewhere overtakes a load; what the load made must not be served afterwards.',
    ],
    results: { unit: 'µs', rows },
    panels: ['unix socket', 'TCP'].map((transport) => ({
      kind: 'bars',
      title: `${transport}: µs, p50 with p95`,
      log: true,
      bars: shown
        .filter((row) => row.transport === transport)
        .map(({ what, name, p50, p95 }) => ({ name: `${what}: ${name}`, value: p50, low: p50, high: p95 })),
      marks: [],
    })),
  })
} finally {
  await stop()
}
process.exit()
