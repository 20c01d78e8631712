// What does a hit of getOrSet cost beside a get, and what does an invalidation cost?

import assert from 'node:assert/strict'
import { Cache } from 'sark-cache'
import { interleave } from './lib/interleave.mjs'
import { digits, printTable } from './lib/table.mjs'
import { askedKeys, RESIDENT, residentKeys, residentValues } from './lib/workload.mjs'

const OPS = 10_000
const TTL = 600_000
const options = { tags: ['user', 'resource'], ttl: TTL }

const cache = new Cache({ max: RESIDENT, ttl: TTL })
for (const [at, key] of residentKeys.entries()) {
  cache.set(key, residentValues[at], { tags: ['user', 'resource'], fence: cache.fence() })
}

const key = (op) => askedKeys[op % askedKeys.length]
const load = () => assert.fail('every key is there')
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

const columns = (baseline) => ['', 'ns/op', 'p25', 'p75', `x ${baseline}`]
const cells = ({ name, median, p25, p75, ratio }) => [name, ...[median, p25, p75, ratio].map(digits)]

const timings = await interleave(
  hits.map((hit) => ({ ...hit, ops: OPS })),
  { baseline: 'await get' },
)
printTable('a hit', columns('await get'), timings.map(cells))
const [, awaited, fenced] = timings.map(({ median }) => median)
console.log(`\ngetOrSet takes ${(fenced - awaited).toFixed(0)} ns more than an awaited get.`)
cache.close()

const sizes = [1_000, 100_000, 1_000_000]
const filled = sizes.map((entries) => {
  const store = new Cache({ max: entries })
  for (let at = 0; at < entries; at++) store.set(`key ${at}`, at, { tags: [`tag ${at % 100}`], ttl: TTL })
  return { entries, store }
})
printTable(
  'invalidateTag, by the number of entries (a hundredth of them carries each tag)',
  columns(`${sizes[0]}`),
  (
    await interleave(
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
  ).map(cells),
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
  charged.map(({ tags, bytes }) => [`${tags}`, `${bytes}`, `${bytes - charged[0].bytes}`]),
)
