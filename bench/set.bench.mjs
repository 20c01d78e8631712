// What does a set cost, by the size of the value, of a new key, of a known one, and where another must go?

import assert from 'node:assert/strict'
import { LRUCache } from 'lru-cache'
import { digits, short } from './lib/chart.mjs'
import { differences, interleave, scaled } from './lib/compare.mjs'
import {
  FifoMap,
  freshPackage,
  JS,
  JsonMap,
  LRU,
  NEAR,
  requireNativeEngine,
  Stringifier,
} from './lib/contenders.mjs'
import { atMost, bar, figuresOf, printTable, printTimings, writeReport } from './lib/report.mjs'
import { askedKeys, largeValues, manyKeys, newKeys, RESIDENT, residentKeys, values } from './lib/workload.mjs'

/** @typedef {import('./lib/workload.mjs').Decision} Decision */

/**
 * @typedef {object} Store
 * @property {(key: string, value: Decision) => unknown} set
 * @property {(key: string) => unknown} get
 * @property {(key: string) => unknown} delete
 * @property {number} size
 */

/**
 * @typedef {object} Question
 * @property {string} title
 * @property {readonly string[]} filling What the stores are filled with.
 * @property {readonly string[]} keys What is set.
 * @property {number} max
 * @property {boolean} [removes] Whether what was set is removed before the next batch, so that it is new again.
 */

/** Long enough for nothing to expire meanwhile, in ms. */
const TTL = 600_000
const MANY = scaled(1_000_000, 30_000)
const STRINGIFY = 'JSON.stringify alone'
const JSON_FIFO = 'Map + JSON, oldest goes first'

/** What is wanted: ns for a set beyond those of JSON.stringify. */
const MOST = 600

requireNativeEngine()
const notes = [
  `sark-cache, lru-cache and the Map hold at most as many entries as are said; TTL ${TTL / 1000} s, but for the Map, which has none.`,
  'lru-cache keeps a reference to the object that it is given; the others write it as JSON.',
  'Key strings exist beforehand, so V8 has computed their hashes.',
  `A million values of 10 KiB are left out: they take 10 GiB in each store.`,
]
console.log(`\n${notes.join('\n')}`)

const sizes = [
  { size: '100 B', values, ops: scaled(5_000, 500), isLarge: false },
  { size: '1 KiB', values: largeValues(1024, 1024), ops: scaled(1_000, 200), isLarge: false },
  { size: '10 KiB', values: largeValues(10_240, 256), ops: scaled(200, 50), isLarge: true },
]
// Far more than fit: one that comes up again has been evicted long before.
const keysOfMany = manyKeys(2 ** Math.ceil(Math.log2(2 * MANY)))
/** @type {readonly Question[]} */
const questions = [
  { title: 'overwriting', filling: residentKeys, keys: askedKeys, max: RESIDENT },
  { title: 'a new key', filling: residentKeys, keys: newKeys, max: 2 * RESIDENT, removes: true },
  {
    title: `a new key at capacity, ${short(RESIDENT)} entries`,
    filling: residentKeys,
    keys: newKeys,
    max: RESIDENT,
  },
  {
    title: `a new key at capacity, ${short(MANY)} entries`,
    filling: manyKeys(MANY).map((key) => `old ${key}`),
    keys: keysOfMany,
    max: MANY,
  },
]

/**
 * @param {number} max
 * @param {boolean} evicts
 * @returns {{ name: string, store: Store | Stringifier }[]}
 */
const open = (max, evicts) => [
  { name: NEAR, store: new (freshPackage().Cache)({ max, ttl: TTL, engine: 'rust' }) },
  ...(max < MANY ? [{ name: JS, store: new (freshPackage().Cache)({ max, ttl: TTL, engine: 'js' }) }] : []),
  { name: LRU, store: new LRUCache({ max, ttl: TTL }) },
  { name: JSON_FIFO, store: new JsonMap(evicts ? new FifoMap(max) : new Map()) },
  { name: STRINGIFY, store: new Stringifier() },
]

/**
 * @param {Question} question
 * @param {(typeof sizes)[number]} of
 */
async function measure({ title, filling, keys, max, removes = false }, { size, values, ops }) {
  const evicts = filling.length === max && keys !== askedKeys
  const lanes = await Promise.all(
    open(max, evicts).map(async ({ name, store }) => {
      for (const [at, key] of filling.entries()) store.set(key, pick(values, at))
      /** @type {typeof import('./lib/loops.mjs')} */
      const loops = await import(`./lib/loops.mjs?${encodeURIComponent(`${name} ${size} ${title}`)}`)
      const run = loops.sets(/** @type {Store} */ (store), keys, values)
      if (!removes || store instanceof Stringifier) return { name, ops, run, store }
      let done = 0
      const prepare = () => {
        for (let op = done - ops; op < done; op++) if (op >= 0) store.delete(pick(keys, op))
        done += ops
      }
      return { name, ops, run, store, prepare }
    }),
  )
  const timings = await interleave(lanes, { baseline: NEAR })
  for (const [at, { name, store }] of lanes.entries()) {
    const { sum, ops: done } = /** @type {import('./lib/compare.mjs').Timing} */ (timings[at])
    assert.equal(sum, done, `sum of ${name}`)
    if (store instanceof Stringifier) continue
    assert.deepEqual(store.get(pick(keys, done - 1)), pick(values, done - 1), `last value of ${name}`)
    assert.equal(store.size, removes ? filling.length + ops : filling.length, `entries of ${name}`)
    if ('close' in store) /** @type {import('sark-cache').Cache} */ (store).close()
  }
  printTimings(`${size}, ${title}`, NEAR, timings)
  const timesOf = (/** @type {string} */ name) => timings.find((timing) => timing.name === name)?.times ?? []
  const beyond = differences(timesOf(NEAR), timesOf(STRINGIFY))
  return { size, title, timings, beyond }
}

/**
 * @template T
 * @param {readonly T[]} items
 * @param {number} place Beyond the last item it begins again.
 */
function pick(items, place) {
  return /** @type {T} */ (items[place % items.length])
}

const measured = []
for (const size of sizes) {
  for (const question of questions) {
    if (!size.isLarge || question.max < MANY) measured.push(await measure(question, size))
  }
}
printTable(
  `a set of ${NEAR} beyond ${STRINGIFY}, in ns`,
  ['', 'median', 'p25', 'p75'],
  measured.map(({ size, title, beyond }) => [
    `${size}, ${title}`,
    ...[beyond.median, beyond.p25, beyond.p75].map(digits),
  ]),
)

writeReport({
  name: 'set',
  question: 'What does a set cost?',
  packages: ['lru-cache'],
  notes,
  checks: measured
    .filter(({ size }) => size === sizes[0]?.size)
    .map(({ size, title, beyond }) =>
      atMost(`${size}, ${title}: ns beyond JSON.stringify`, beyond.median, MOST),
    ),
  results: {
    unit: 'ns/op',
    baseline: NEAR,
    sets: measured.map(({ size, title, timings, beyond }) => ({
      size,
      title,
      timings: figuresOf(timings),
      beyondStringify: beyond,
    })),
  },
  panels: measured.map(({ size, title, timings }) => ({
    kind: 'bars',
    title: `${size}, ${title}: ns, median and p25 to p75`,
    bars: timings.map((timing) => bar(timing.name, timing)),
  })),
})
