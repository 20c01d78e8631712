// What does a hit of getOrSet cost beside a get, and what does an invalidation cost?

import assert from 'node:assert/strict'
import { Cache } from 'sark-cache'
import { digits } from './lib/chart.mjs'
import { differences, interleave, scaled } from './lib/compare.mjs'
import { requireNativeEngine } from './lib/contenders.mjs'
import { bar, figuresOf, printTable, printTimings, writeReport } from './lib/report.mjs'
import { askedKeys, RESIDENT, residentKeys, residentValues } from './lib/workload.mjs'

requireNativeEngine()
const OPS = scaled(10_000, 1_000)
const TTL = 600_000
const options = { tags: ['user', 'resource'], ttl: TTL }

const cache = new Cache({ max: RESIDENT, ttl: TTL })
for (const [at, key] of residentKeys.entries()) {
  cache.set(key, residentValues[at], { tags: ['user', 'resource'], fence: cache.fence() })
}

/** @param {number} op */
const key = (op) => /** @type {string} */ (askedKeys[op % askedKeys.length])
const load = () => assert.fail('every key is there')
/** @param {any} decision */
const isAllowed = (decision) => (decision.allowed ? 1 : 0)

const hits = [
  {
    name: 'get',
    run: () => {
      let sum = 0
      for (let op = 0; op < OPS; op++) sum += isAllowed(cache.get(key(op)))
      return sum
    },
  },
  {
    name: 'await get',
    run: async () => {
      let sum = 0
      for (let op = 0; op < OPS; op++) sum += isAllowed(await cache.get(key(op)))
      return sum
    },
  },
  {
    name: 'await getOrSet',
    run: async () => {
      let sum = 0
      for (let op = 0; op < OPS; op++) sum += isAllowed(await cache.getOrSet(key(op), load, options))
      return sum
    },
  },
]

const timings = await interleave(
  hits.map((hit) => ({ ...hit, ops: OPS })),
  { baseline: 'await get' },
)
printTimings('a hit', 'await get', timings)
const [, awaited, fenced] = timings.map(({ times }) => times)
const more = differences(/** @type {number[]} */ (fenced), /** @type {number[]} */ (awaited))
console.log(`\ngetOrSet takes ${digits(more.median)} ns more than an awaited get.`)
cache.close()

const sizes = [1_000, scaled(100_000, 5_000), scaled(1_000_000, 10_000)]
const filled = sizes.map((entries) => {
  const store = new Cache({ max: entries })
  for (let at = 0; at < entries; at++) store.set(`key ${at}`, at, { tags: [`tag ${at % 100}`], ttl: TTL })
  return { entries, store }
})
const invalidations = await interleave(
  filled.map(({ entries, store }) => ({
    name: `${entries}`,
    ops: OPS,
    run: () => {
      for (let op = 0; op < OPS; op++) store.invalidateTag(`tag ${op % 100}`)
      return store.size
    },
  })),
  { baseline: `${sizes[0]}` },
)
printTimings(
  'invalidateTag, by the number of entries (a hundredth of them carries each tag)',
  `${sizes[0]}`,
  invalidations,
)
for (const { store } of filled) store.close()

const charged = [0, 1, 4, 8].map((tags) => {
  const one = new Cache({ max: 1 })
  one.set('key', 1, { tags: Array.from({ length: tags }, (_, at) => `tag ${at}`), ttl: TTL })
  const { bytes } = one
  one.close()
  return { tags, bytes }
})
printTable(
  'bytes charged for an entry',
  ['tags', 'bytes', 'more'],
  charged.map(({ tags, bytes }) => [`${tags}`, `${bytes}`, `${bytes - (charged[0]?.bytes ?? 0)}`]),
)

/** @param {readonly import('./lib/compare.mjs').Timing[]} of */
const bars = (of) => of.map((timing) => bar(timing.name, timing))

writeReport({
  name: 'get-or-set',
  question: 'What does getOrSet cost on a hit, and an invalidation?',
  packages: [],
  results: {
    unit: 'ns/op',
    hit: figuresOf(timings),
    getOrSetMoreThanAwaitedGet: more,
    invalidateTagByEntries: figuresOf(invalidations),
    bytesByTags: charged,
  },
  panels: [
    { kind: 'bars', title: 'a hit: ns, median and p25 to p75', bars: bars(timings) },
    { kind: 'bars', title: 'invalidateTag by entries: ns, median and p25 to p75', bars: bars(invalidations) },
  ],
})
