// What do more threads gain: one cache that they share, or one for each?

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { digits } from './lib/chart.mjs'
import { ratios, scaled, seeded, shuffle, spread } from './lib/compare.mjs'
import { FAR, hasLmdb, NEAR, requireNativeEngine, temporaryFolder } from './lib/contenders.mjs'
import { atLeast, bar, printTable, writeReport } from './lib/report.mjs'
import { manyKeys, values, zipf } from './lib/workload.mjs'

/** @typedef {import('./lib/thread-worker.mjs').Lane} Lane */
/** @typedef {import('./lib/loops.mjs').Work} Work */

const MAX = 10_000
const KEYS = 100_000
const PICKS = 2 ** 18
const THREADS = [1, 2, 4]
const ROUNDS = scaled(24, 2)
const TURN_MS = scaled(50, 10)
/** Turns of the first of each store, before the first that counts. */
const WARMUP = scaled(5, 2)

requireNativeEngine()
const notes = [
  `${KEYS} keys, asked for with Zipf frequencies (exponent 0.99), ${MAX} of them held: by one shared cache, or by all caches of the threads together. lmdb has no such bound and holds all.`,
  'A read of a missing value is a read and nothing more, but in the mix that loads: there the value is stored, and its evaluation, which would take the most, costs nothing here.',
  'Threads work at the same time for the same time. All keep what they held in the mixes before, in an order drawn anew for each round.',
  'lmdb does not wait for the disk; each block of 256 operations waits for its commit.',
]
console.log(`\n${notes.join('\n')}`)

const LRU = 'lru-cache, one a thread'
const LMDB = 'lmdb, shared, no TTL'
const isWithLmdb = await hasLmdb()
const candidates = /** @type {const} */ ([
  { name: NEAR, kind: 'sark', options: {} },
  { name: FAR, kind: 'sark', options: { near: false } },
  { name: LRU, kind: 'lru', options: {} },
  { name: LMDB, kind: 'lmdb', options: {} },
]).filter(({ kind }) => kind !== 'lmdb' || isWithLmdb)
const READS = { name: 'reads', writes: 0, loads: false }
const MOST = { name: '95 % reads', writes: 5, loads: false }
const mixes = [
  { name: 'reads, loading what is missing', writes: 0, loads: true },
  READS,
  MOST,
  { name: '50 % reads', writes: 50, loads: false },
  { name: 'writes', writes: 100, loads: false },
]
/** @type {Lane[]} */
const lanes = candidates.flatMap((candidate) =>
  THREADS.flatMap((threads) => mixes.map((mix) => ({ ...candidate, threads, mix }))),
)
/** @type {Work[][][]} */
const works = lanes.map(() => [])

const [TURN, LANE, READY] = [0, 1, 2]
const control = new Int32Array(new SharedArrayBuffer(12))
const most = Math.max(...THREADS)
const workers = start()
await Promise.all(workers.map((worker) => once(worker, 'message')))

for (const [at, { mix }] of lanes.entries()) {
  for (let turn = 0; mix.loads && turn < WARMUP; turn++) await work(at)
}
const random = seeded(1)
const order = lanes.map((_, at) => at)
for (const at of order) await work(at)
for (let round = 0; round < ROUNDS; round++) {
  for (const at of shuffle(order, random)) works[at]?.push(await work(at))
}
tell(-1)
await Promise.all(workers.map((worker) => once(worker, 'exit')))

function start() {
  const random = seeded(7)
  const picks = zipf(KEYS, PICKS * most, 0.99, random)
  const dice = Uint8Array.from({ length: PICKS }, () => Math.floor(random() * 100))
  const keys = manyKeys(KEYS)
  const folder = temporaryFolder()
  return Array.from({ length: most }, (_, index) => {
    /** @type {import('./lib/thread-worker.mjs').ThreadData} */
    const workerData = {
      index,
      control,
      lanes,
      traffic: {
        keys,
        values: keys.map((_, id) => /** @type {(typeof values)[number]} */ (values[id % values.length])),
        picks: picks.slice(index * PICKS, (index + 1) * PICKS),
        dice,
      },
      max: MAX,
      ttl: 600_000,
      folder,
      turnMs: TURN_MS,
    }
    return new Worker(new URL('./lib/thread-worker.mjs', import.meta.url), { workerData })
  })
}

/** @param {number} lane */
function tell(lane) {
  Atomics.store(control, READY, 0)
  Atomics.store(control, LANE, lane)
  Atomics.add(control, TURN, 1)
  Atomics.notify(control, TURN)
}

/**
 * Lets the threads of a lane work for one turn.
 *
 * @param {number} lane
 * @returns {Promise<Work[]>}
 */
async function work(lane) {
  const done = workers.slice(0, lanes[lane]?.threads).map((worker) => once(worker, 'message'))
  tell(lane)
  return (await Promise.all(done)).map(([work]) => work)
}

/**
 * @param {string} name
 * @param {number} threads
 * @param {(typeof mixes)[number]} mix
 */
function resultOf(name, threads, mix) {
  const at = lanes.findIndex((lane) => lane.name === name && lane.threads === threads && lane.mix === mix)
  const turns = works[at] ?? []
  const all = turns.flat()
  assert.equal(all.length, ROUNDS * threads)
  /** @param {(work: Work) => number} of */
  const total = (of) => all.reduce((sum, work) => sum + of(work), 0)
  const reads = total(({ reads }) => reads)
  const misses = total(({ misses }) => misses)
  return {
    rates: turns.map((turn) => turn.reduce((sum, { ops, ms }) => sum + (ops / ms) * 1000, 0)),
    hitRate: reads === 0 ? undefined : 1 - misses / reads,
    reads,
    misses,
  }
}

const results = mixes.map((mix) => ({
  mix: mix.name,
  rows: candidates.flatMap(({ name }) =>
    THREADS.map((threads) => {
      const { rates, hitRate, reads, misses } = resultOf(name, threads, mix)
      const alone = resultOf(name, 1, mix).rates
      const opsPerSecond = spread(rates)
      return { name, threads, opsPerSecond, timesOneThread: ratios(rates, alone), hitRate, reads, misses }
    }),
  ),
}))
for (const { mix, rows } of results) {
  const isLoading = mix === mixes[0]?.name
  printTable(
    mix,
    [
      '',
      'threads',
      'M ops/s',
      'p25',
      'p75',
      'x 1 thread',
      'p25',
      'p75',
      'hits',
      ...(isLoading ? ['evaluations in 1000 reads'] : []),
    ],
    rows.map(({ name, threads, opsPerSecond, timesOneThread, hitRate, reads, misses }) => [
      name,
      `${threads}`,
      ...[opsPerSecond.median, opsPerSecond.p25, opsPerSecond.p75].map((rate) => digits(rate / 1e6)),
      ...[timesOneThread.median, timesOneThread.p25, timesOneThread.p75].map(digits),
      hitRate === undefined ? '' : `${(hitRate * 100).toFixed(1)} %`,
      ...(isLoading ? [digits((misses / reads) * 1000)] : []),
    ]),
  )
}

/** @param {(typeof mixes)[number]} mix */
const gain = (mix) => ratios(resultOf(NEAR, 2, mix).rates, resultOf(NEAR, 1, mix).rates).median

writeReport({
  name: 'threads',
  question: 'What do more threads gain?',
  packages: ['lru-cache', ...(isWithLmdb ? ['lmdb'] : [])],
  notes,
  checks: [
    atLeast(`${READS.name}: 2 threads / 1`, gain(READS), 1.7),
    atLeast(`${MOST.name}: 2 threads / 1`, gain(MOST), 1.4),
  ],
  results,
  panels: [
    ...results.map(({ mix, rows }) => ({
      kind: /** @type {const} */ ('bars'),
      title: `${mix}: million operations a second by threads, median and p25 to p75`,
      bars: rows.map(({ name, threads, opsPerSecond }) => bar(`${name}: ${threads}`, opsPerSecond, 1e6)),
    })),
    {
      kind: 'bars',
      title: 'evaluations in 1000 reads, by threads',
      bars: (results[0]?.rows ?? []).map(({ name, threads, reads, misses }) => ({
        name: `${name}: ${threads}`,
        value: (misses / reads) * 1000,
      })),
    },
  ],
})
