// What does an operation cost where there are writes among the reads, as there are in services?

import assert from 'node:assert/strict'
import { fileURLToPath } from 'node:url'
import { interleave, ratios, scaled, seeded } from './lib/compare.mjs'
import {
  contenders,
  FAR,
  JS,
  JSON_MAP,
  LRU,
  MAP,
  NEAR,
  openAll,
  requireNativeEngine,
} from './lib/contenders.mjs'
import { nameHere, runOnNode24 } from './lib/processes.mjs'
import { atMost, bar, figuresOf, printTimings, writeReport } from './lib/report.mjs'
import { askedKeys, manyKeys, RESIDENT, residentKeys, residentValues, values, zipf } from './lib/workload.mjs'

const TTL = 600_000
const OPS = scaled(40_000, 4_000)
const PICKS = 2 ** 17
const KEYS = 2 * RESIDENT
/** Writes among the operations. */
const RATES = [0, 0.0005, 0.01, 0.05, 0.2]
const NAMES = [NEAR, FAR, JS, LRU, JSON_MAP, MAP]

requireNativeEngine()
const notes = [
  `${KEYS} keys, asked for with Zipf frequencies (exponent 0.99), all candidates for the same ones in the same order; so many of the operations are writes of a new object. TTL ${TTL / 1000} s.`,
  `Resident: all fit. Evicting: half of them do, and what is missing is stored.`,
  `${FAR} and ${JSON_MAP} give each caller a private copy; ${NEAR} and ${JS} one that is frozen; the others the very object that was stored.`,
]
console.log(`\n${notes.join('\n')}`)

const random = seeded(7)
const keys = manyKeys(KEYS)
const held = keys.map(
  (_, at) => /** @type {import('./lib/workload.mjs').Decision} */ (values[at % values.length]),
)
const picks = zipf(KEYS, PICKS, 0.99, random)

/**
 * @param {number} max
 * @param {string} title
 * @param {(loops: typeof import('./lib/loops.mjs'), store: import('./lib/loops.mjs').Store) => (ops: number) => number} loopOf
 * @param {readonly string[]} names
 * @param {readonly string[]} filled
 * @param {readonly import('./lib/workload.mjs').Decision[]} values
 */
async function measure(max, title, loopOf, names = NAMES, filled = keys, values = held) {
  const chosen = contenders(max, TTL).filter(({ name }) => names.includes(name))
  const lanes = await openAll(chosen, filled, values)
  const candidates = await Promise.all(
    lanes.map(async ({ name, store }) => {
      /** @type {typeof import('./lib/loops.mjs')} */
      const loops = await import(`./lib/loops.mjs?${encodeURIComponent(`${title} ${name}`)}`)
      return { name, ops: OPS, run: loopOf(loops, store) }
    }),
  )
  const timings = await interleave(candidates, {
    baseline: NEAR,
    rounds: scaled(30, 3),
    warmup: scaled(8, 1),
  })
  for (const { name, sum } of timings) assert.equal(sum, timings[0]?.sum, `sum of ${name}`)
  printTimings(title, NEAR, timings)
  for (const { close } of lanes) await close?.()
  return { title, timings }
}

const rows = []
for (const [max, size, names] of /** @type {const} */ ([
  [2 * KEYS, 'resident', NAMES],
  [KEYS / 2, 'evicting', [NEAR, FAR, JS, LRU]],
])) {
  for (const rate of RATES) {
    const isWrite = Uint8Array.from({ length: PICKS }, () => (random() < rate ? 1 : 0))
    rows.push(
      await measure(
        max,
        `${size}, ${100 * rate} % writes`,
        (loops, store) => loops.readsAndWrites(store, keys, held, picks, isWrite),
        names,
      ),
    )
  }
}
const few = 2 ** 13
const written = await measure(2 * KEYS, 'a write and the first read after it', (loops, store) =>
  loops.writesThenReads(store, keys.slice(0, few), held.slice(0, few)),
)
const parts = askedKeys.map((key) => {
  const at = key.indexOf(':')
  return /** @type {const} */ ([key.slice(0, at), key.slice(at + 1)])
})
const fresh = await measure(
  RESIDENT,
  'a hit by a key put together at each call',
  (loops, store) => loops.freshHits(store, parts),
  NAMES,
  residentKeys,
  residentValues,
)

/** @param {readonly import('./lib/compare.mjs').Timing[]} timings @param {string} of @param {string} by */
const ratio = (timings, of, by) => {
  const [a, b] = [of, by].map((name) => timings.find((timing) => timing.name === name)?.times ?? [])
  return ratios(/** @type {number[]} */ (a), /** @type {number[]} */ (b)).median
}
/** @type {Record<string, number>} The most that is wanted beside lru-cache, resident. */
const wanted = { 0: 0.8, 0.0005: 1.2, 0.01: 1.2, 0.05: 1.6 }
const checks = [
  ...Object.entries(wanted).map(([rate, most]) => {
    const { title, timings } = /** @type {(typeof rows)[number]} */ (rows[RATES.indexOf(Number(rate))])
    return atMost(`${title}: ${NEAR} / ${LRU}`, ratio(timings, NEAR, LRU), most)
  }),
  ...[...rows, written].map(({ title, timings }) =>
    atMost(`${title}: ${NEAR} / ${FAR}`, ratio(timings, NEAR, FAR), 1.05),
  ),
]
/** @param {(typeof rows)[number]} row */
const panel = ({ title, timings }) => ({
  kind: /** @type {const} */ ('bars'),
  title: `${title}: ns, median and p25 to p75`,
  bars: timings.map((timing) => bar(timing.name, timing)),
  log: true,
})

writeReport({
  name: nameHere('mix'),
  question: 'What does an operation cost where there are writes among the reads?',
  packages: ['lru-cache'],
  notes,
  checks,
  results: {
    unit: 'ns/op',
    baseline: NEAR,
    rows: [...rows, written, fresh].map(({ title, timings }) => ({ title, timings: figuresOf(timings) })),
  },
  panels: [rows[1], rows[3], rows[8], fresh].map((row) => panel(/** @type {(typeof rows)[number]} */ (row))),
})

await runOnNode24(fileURLToPath(import.meta.url))
