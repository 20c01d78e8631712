// What does a decision cost that is there: beside what services do without a cache of decisions?

import assert from 'node:assert/strict'
import { fileURLToPath } from 'node:url'
import { newCachedEnforcer, newModelFromString, StringAdapter } from 'casbin'
import { LRUCache } from 'lru-cache'
import { PolicyCache } from 'sark-cache'
import { interleave, ratios, scaled } from './lib/compare.mjs'
import { requireNativeEngine } from './lib/contenders.mjs'
import { nameHere, runOnNode24 } from './lib/processes.mjs'
import { atMost, bar, figuresOf, printTimings, writeReport } from './lib/report.mjs'

const OPS = scaled(20_000, 2_000)
const QUERIES = 2 ** 13
const DECIDE = 'decide'
const CACHED = 'cached'
const LRU = 'lru-cache, JSON key'
const LRU_AT_ONCE = 'lru-cache, JSON key, no await'
const MAP = 'Map, JSON key'
const CASBIN = 'casbin CachedEnforcer'

requireNativeEngine()
const notes = [
  `${QUERIES} questions whose decisions are there, asked in an order that jumps about; each is an object built anew, as a request builds it.`,
  'JSON keys are JSON.stringify of the question: another order of the same fields is another key there.',
  `${DECIDE}, lru-cache and Map are awaited, but where it says otherwise. casbin has no contexts, and joins user, resource and action with $$.`,
]
console.log(`\n${notes.join('\n')}`)

/** @param {number} at */
const plain = (at) => ({ user: `user-${at}`, action: 'read', resource: `document-${at}` })
/** @param {number} at */
const withContext = (at) => ({ ...plain(at), context: { role: 'editor', team: `team-${at % 50}` } })

const MODEL = `
[request_definition]
r = sub, obj, act
[policy_definition]
p = sub, obj, act
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = r.sub == p.sub && r.obj == p.obj && r.act == p.act`

/**
 * @param {string} title
 * @param {(at: number) => import('sark-cache').PolicyQuery} queryOf
 */
async function measure(title, queryOf) {
  const options = { max: 2 * QUERIES, ttl: 600_000 }
  const decisions = new PolicyCache({ max: options.max, evaluate: () => ({ allowed: true }) })
  /** @type {LRUCache<string, { allowed: boolean }>} */
  const lru = new LRUCache(options)
  const map = new Map()
  const enforcer = await newCachedEnforcer(newModelFromString(MODEL), new StringAdapter('p, u, r, a'))
  const isPlain = queryOf(0).context === undefined
  for (let at = 0; at < QUERIES; at++) {
    const query = queryOf(at)
    await decisions.set(query, { allowed: true })
    lru.set(JSON.stringify(query), { allowed: true })
    map.set(JSON.stringify(query), { allowed: true })
    if (isPlain) await enforcer.enforce(query.user, query.resource, query.action)
  }
  const candidates = [
    {
      name: DECIDE,
      run: async (/** @type {number} */ ops) => {
        let sum = 0
        for (let op = 0; op < ops; op++)
          if ((await decisions.decide(queryOf((op * 31) % QUERIES))).allowed) sum++
        return sum
      },
    },
    {
      name: CACHED,
      run: (/** @type {number} */ ops) => {
        let sum = 0
        for (let op = 0; op < ops; op++) if (decisions.cached(queryOf((op * 31) % QUERIES))?.allowed) sum++
        return sum
      },
    },
    {
      name: LRU,
      run: async (/** @type {number} */ ops) => {
        let sum = 0
        for (let op = 0; op < ops; op++) {
          if ((await lru.get(JSON.stringify(queryOf((op * 31) % QUERIES))))?.allowed) sum++
        }
        return sum
      },
    },
    {
      name: LRU_AT_ONCE,
      run: (/** @type {number} */ ops) => {
        let sum = 0
        for (let op = 0; op < ops; op++) {
          if (lru.get(JSON.stringify(queryOf((op * 31) % QUERIES)))?.allowed) sum++
        }
        return sum
      },
    },
    {
      name: MAP,
      run: async (/** @type {number} */ ops) => {
        let sum = 0
        for (let op = 0; op < ops; op++) {
          if ((await map.get(JSON.stringify(queryOf((op * 31) % QUERIES))))?.allowed) sum++
        }
        return sum
      },
    },
    ...(isPlain
      ? [
          {
            name: CASBIN,
            run: async (/** @type {number} */ ops) => {
              let sum = 0
              for (let op = 0; op < ops; op++) {
                const { user, resource, action } = queryOf((op * 31) % QUERIES)
                if ((await enforcer.enforce(user, resource, action)) === false) sum++
              }
              return sum
            },
          },
        ]
      : []),
  ]
  const timings = await interleave(
    candidates.map((candidate) => ({ ...candidate, ops: OPS })),
    { baseline: LRU, rounds: scaled(40, 3) },
  )
  for (const { name, sum, ops } of timings) assert.equal(sum, ops, `sum of ${name}`)
  printTimings(title, LRU, timings)
  decisions.close()
  return { title, timings }
}

const rows = [
  await measure('a decision, no context', plain),
  await measure('a decision, with a small context', withContext),
]

/** @param {(typeof rows)[number]} row @param {string} of @param {string} by */
const ratio = ({ timings }, of, by) => {
  const [a, b] = [of, by].map((name) => timings.find((timing) => timing.name === name)?.times ?? [])
  return ratios(/** @type {number[]} */ (a), /** @type {number[]} */ (b)).median
}
const [first, second] = /** @type {[typeof rows[number], typeof rows[number]]} */ (
  /** @type {unknown} */ (rows)
)

writeReport({
  name: nameHere('decide'),
  question: 'What does a decision cost that is there?',
  packages: ['lru-cache', 'casbin'],
  notes,
  checks: [
    atMost(`no context: ${DECIDE} / ${LRU}`, ratio(first, DECIDE, LRU), 1.3),
    atMost(`small context: ${DECIDE} / ${LRU}`, ratio(second, DECIDE, LRU), 1.5),
    atMost(`no context: ${CACHED} / ${LRU_AT_ONCE}`, ratio(first, CACHED, LRU_AT_ONCE), 1.3),
    atMost(`small context: ${CACHED} / ${LRU_AT_ONCE}`, ratio(second, CACHED, LRU_AT_ONCE), 1.5),
  ],
  results: {
    unit: 'ns/op',
    baseline: LRU,
    rows: rows.map(({ title, timings }) => ({ title, timings: figuresOf(timings) })),
  },
  panels: rows.map(({ title, timings }) => ({
    kind: /** @type {const} */ ('bars'),
    title: `${title}: ns, median and p25 to p75`,
    bars: timings.map((timing) => bar(timing.name, timing)),
  })),
})

await runOnNode24(fileURLToPath(import.meta.url))
