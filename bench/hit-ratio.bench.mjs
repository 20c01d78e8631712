// How often do real requests hit, by the policy that says what is evicted?

import assert from 'node:assert/strict'
import { Cache } from 'sark-cache'
import { short } from './lib/chart.mjs'
import { isQuick } from './lib/compare.mjs'
import { requireNativeEngine } from './lib/contenders.mjs'
import { printTable, writeReport } from './lib/report.mjs'
import { readReferences, readTrace } from './lib/workload.mjs'

const POLICIES = /** @type {const} */ (['lru', 's3fifo'])
/** The traces of a trial. */
const SMALL = ['cs', 'multi2', 'web12']
/** What may be missing to exact LRU, in points: the engine bounds the work of one eviction. */
const TOLERANCE = 0.2

requireNativeEngine()
const notes = [
  'Real requests, one after the other: get, and on a miss set. Caches hold at most as many entries as is said.',
  'Exact LRU and OPT are computed, not measured. OPT knows all requests beforehand; nothing can do better.',
]
const references = readReferences()
if (references === undefined) process.exit(0)
console.log(`\n${notes.join('\n')}`)

/**
 * The hits of a trace.
 *
 * @param {readonly number[]} ids
 * @param {readonly string[]} keys By id.
 * @param {number} max
 * @param {(typeof POLICIES)[number]} policy
 */
function replay(ids, keys, max, policy) {
  const cache = new Cache({ max, policy, near: false, engine: 'rust' })
  let hits = 0
  for (const id of ids) {
    const key = /** @type {string} */ (keys[id])
    const value = cache.get(key)
    if (value === undefined) cache.set(key, id)
    else if (value === id) hits++
    else assert.fail(`${key} has the value ${value}`)
  }
  assert.equal(cache.stats().hits, hits)
  assert.ok(cache.size <= max)
  cache.close()
  return hits
}

const traces = [...new Set(references.map(({ trace }) => trace))].filter(
  (trace) => !isQuick || SMALL.includes(trace),
)
const rows = traces.flatMap((trace) => {
  const ids = readTrace(trace)
  const most = ids.reduce((most, id) => Math.max(most, id), 0)
  const keys = Array.from({ length: most + 1 }, (_, id) => `block ${id}`)
  return references
    .filter((reference) => reference.trace === trace)
    .map((reference) => {
      const { capacity, requests, opt } = reference
      assert.equal(ids.length, requests)
      const [lru = 0, s3fifo = 0] = POLICIES.map((policy) => {
        const hits = replay(ids, keys, capacity, policy)
        assert.ok(hits <= opt, `${policy} hits more often than can be on ${trace}, ${capacity} entries`)
        return (hits / requests) * 100
      })
      const exact = (reference.lru / requests) * 100
      assert.ok(Math.abs(lru - exact) <= TOLERANCE, `LRU of ${trace}, ${capacity} entries, is not LRU`)
      return { trace, capacity, requests, lru, s3fifo, exact, opt: (opt / requests) * 100 }
    })
})

/** @param {number} percent */
const percent = (percent) => percent.toFixed(2)
printTable(
  'hits, in % of the requests',
  ['trace', 'entries', 'lru', 's3fifo', 's3fifo - lru', 'exact LRU', 'OPT'],
  rows.map(({ trace, capacity, lru, s3fifo, exact, opt }) => [
    trace,
    `${capacity}`,
    ...[lru, s3fifo, s3fifo - lru, exact, opt].map(percent),
  ]),
)
const gain = rows.reduce((sum, { lru, s3fifo }) => sum + s3fifo - lru, 0) / rows.length
console.log(`\nOn average s3fifo hits ${percent(gain)} points more often than lru.`)

writeReport({
  name: 'hit-ratio',
  question: 'How often do real requests hit?',
  packages: [],
  notes,
  results: { unit: '% of the requests', rows, meanGainOfS3fifo: gain },
  panels: traces.map((trace) => {
    const of = rows.filter((row) => row.trace === trace)
    return {
      kind: /** @type {const} */ ('lines'),
      title: `${trace}: hits, %`,
      across: 'entries',
      ticks: of.map(({ capacity }) => short(capacity)),
      lines: [
        { name: 'OPT', values: of.map(({ opt }) => opt) },
        { name: 'exact LRU', values: of.map(({ exact }) => exact) },
        { name: "policy: 'lru'", values: of.map(({ lru }) => lru) },
        { name: "policy: 's3fifo'", values: of.map(({ s3fifo }) => s3fifo) },
      ],
    }
  }),
})
