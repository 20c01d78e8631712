// What does a get cost, of a value that is there and of one that is not?

import assert from 'node:assert/strict'
import { fileURLToPath } from 'node:url'
import { interleave, ratios, scaled } from './lib/compare.mjs'
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
import { weight } from './lib/loops.mjs'
import { nameHere, runOnNode24 } from './lib/processes.mjs'
import { atMost, bar, figuresOf, printTimings, writeReport } from './lib/report.mjs'
import {
  askedKeys,
  askedValues,
  meanBytes,
  missingKeys,
  RESIDENT,
  residentKeys,
  residentValues,
} from './lib/workload.mjs'

/** Long enough for nothing to expire meanwhile, in ms. */
const TTL = 600_000
const OPS = scaled(50_000, 5_000)

requireNativeEngine()
const notes = [
  `${RESIDENT} entries, keys like ${residentKeys[0]}, decisions of about ${Math.round(meanBytes)} bytes of JSON, asked for with Zipf frequencies (exponent 0.99), all candidates for the same ones in the same order. TTL ${TTL / 1000} s.`,
  `${FAR}, ${JS}, ${JSON_MAP}, node-cache, @cacheable/memory and lmdb give each caller a private copy; ${NEAR} gives one that is deeply frozen; the others the very object that was stored, which every caller can change for all others.`,
  'Key strings exist beforehand, so V8 has computed their hashes.',
  'lru-cache reads the clock once a turn of the event loop, which does not turn within a batch.',
]
console.log(`\n${notes.join('\n')}`)

const lanes = await openAll(contenders(RESIDENT, TTL), residentKeys, residentValues)

/**
 * @param {string} title
 * @param {'hits' | 'misses'} loop
 * @param {readonly string[]} keys
 * @param {(ops: number) => number} sumOf
 */
async function measure(title, loop, keys, sumOf) {
  const candidates = await Promise.all(
    lanes.map(async ({ name, store, isSlow }) => {
      /** @type {typeof import('./lib/loops.mjs')} */
      const loops = await import(`./lib/loops.mjs?${encodeURIComponent(name)}`)
      return { name, ops: isSlow ? OPS / 10 : OPS, run: loops[loop](store, keys) }
    }),
  )
  const timings = await interleave(candidates, { baseline: NEAR })
  for (const { name, sum, ops } of timings) assert.equal(sum, sumOf(ops), `sum of ${name}`)
  printTimings(title, NEAR, timings)
  return timings
}

const hits = await measure('get, hit', 'hits', askedKeys, (ops) => {
  let sum = 0
  for (let op = 0; op < ops; op++) {
    sum += weight(/** @type {import('./lib/workload.mjs').Decision} */ (askedValues[op % askedValues.length]))
  }
  return sum
})
const misses = await measure('get, miss', 'misses', missingKeys, (ops) => ops)
for (const { close } of lanes) await close?.()

/** @param {string} name */
const timesOf = (name) => hits.find((timing) => timing.name === name)?.times ?? []
const [near, far, lru, map, json] = [NEAR, FAR, LRU, MAP, JSON_MAP].map(timesOf)
const wanted = /** @type {const} */ ([
  [`a hit of ${NEAR} / ${LRU}`, near, lru, 1],
  [`a hit of ${NEAR} / ${MAP}`, near, map, 1.6],
  [`a hit of ${FAR} / ${JSON_MAP}`, far, json, 1.3],
])

/** @param {readonly import('./lib/compare.mjs').Timing[]} timings */
const bars = (timings) => timings.map((timing) => bar(timing.name, timing)).sort((a, b) => a.value - b.value)

writeReport({
  name: nameHere('hot-get'),
  question: 'What does a get cost?',
  packages: lanes.flatMap(({ of }) => of ?? []),
  notes,
  checks: wanted.map(([what, of, by, most]) =>
    atMost(what, ratios(/** @type {number[]} */ (of), /** @type {number[]} */ (by)).median, most),
  ),
  results: { unit: 'ns/op', baseline: NEAR, hit: figuresOf(hits), miss: figuresOf(misses) },
  panels: [
    { kind: 'bars', title: 'a hit: ns, median and p25 to p75', bars: bars(hits), log: true },
    { kind: 'bars', title: 'a miss: ns, median and p25 to p75', bars: bars(misses), log: true },
  ],
})

await runOnNode24(fileURLToPath(import.meta.url))
