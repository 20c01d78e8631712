import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { gunzipSync } from 'node:zlib'
import { root } from '../../scripts/lib.mjs'
import { seeded, shuffle } from './compare.mjs'

/**
 * What an authorization service answers.
 *
 * @typedef {object} Decision
 * @property {boolean} allowed
 * @property {number} policy
 * @property {string} reason
 * @property {number} evaluatedAt
 */

const ACTIONS = ['read', 'write', 'share', 'delete']
const REASONS = [
  'role owner of the document',
  'role editor of the folder',
  'role member of the team',
  'no policy applies to it',
]

/** Keys resident in the stores. */
export const RESIDENT = 10_000

/** The exponent of the popularity of keys, as in YCSB. */
const EXPONENT = 0.99

/** The lengths of what is gone through in a circle; powers of two, so that a mask finds the place. */
const PICKS = 2 ** 17
const NEW_KEYS = 2 ** 16
const VALUES = 2 ** 12

const random = seeded(42)

/** @param {number} below */
const pick = (below) => Math.floor(random() * below)

/**
 * Different keys; those of two tenants are never the same.
 *
 * @param {string} tenant
 * @param {number} count
 */
function makeKeys(tenant, count) {
  /** @type {Set<string>} */
  const keys = new Set()
  while (keys.size < count) {
    keys.add(`${tenant}-${pick(1000)}:${ACTIONS[pick(ACTIONS.length)]}:document-${pick(1000)}`)
  }
  return [...keys]
}

/** Different decisions, of about 100 bytes as JSON. */
export const values = Array.from({ length: VALUES }, (_, at) => {
  const reason = pick(REASONS.length)
  /** @type {Decision} */
  const decision = {
    allowed: reason < 3,
    policy: 1000 + at,
    reason: /** @type {string} */ (REASONS[reason]),
    evaluatedAt: 1_750_000_000_000 + pick(1e9),
  }
  return decision
})

/** The keys that the stores are filled with. */
export const residentKeys = makeKeys('user', RESIDENT)

/** The value that {@link residentKeys} of the same place is filled with. */
export const residentValues = residentKeys.map(
  (_, at) => /** @type {Decision} */ (values[(at * 31) % VALUES]),
)

const absentKeys = makeKeys('guest', RESIDENT)
const picks = [...zipf(RESIDENT, PICKS, EXPONENT, random)]

/** Resident keys as they are asked for. */
export const askedKeys = picks.map((place) => /** @type {string} */ (residentKeys[place]))

/** The values that {@link askedKeys} of the same place find. */
export const askedValues = picks.map((place) => /** @type {Decision} */ (residentValues[place]))

/** Keys that are never resident, as they are asked for. */
export const missingKeys = picks.map((place) => /** @type {string} */ (absentKeys[place]))

/** Keys to be inserted. One that comes up again has been evicted long before: they are far more than fit. */
export const newKeys = makeKeys('visitor', NEW_KEYS)

/**
 * Different keys, cheaper to make than {@link newKeys} where they are millions.
 *
 * @param {number} count
 */
export function manyKeys(count) {
  const keys = Array.from(
    { length: count },
    (_, at) => `account-${at % 1000}:${ACTIONS[at % ACTIONS.length]}:document-${Math.floor(at / 1000)}`,
  )
  // As with the other keys: strings in one piece, with a hash.
  return [...new Set(keys)]
}

/**
 * Decisions with obligations, of about `bytes` bytes as JSON.
 *
 * @param {number} bytes
 * @param {number} count A power of two, up to that of {@link values}.
 * @returns {Decision[]}
 */
export function largeValues(bytes, count) {
  return values.slice(0, count).map((value) => {
    const obligations = []
    for (let left = bytes - JSON.stringify(value).length; left > 0; left -= 70) {
      const at = pick(1e6)
      obligations.push({ id: 100_000 + at, field: `attribute-${at % 100}`, mask: at % 2 === 0 })
    }
    return { ...value, obligations }
  })
}

/** The mean length of a value as JSON, in bytes. */
export const meanBytes = values.reduce((sum, value) => sum + JSON.stringify(value).length, 0) / VALUES

/**
 * `length` picks out of the numbers below `count`; the one of rank r is picked with a weight of
 * 1 / r ** exponent. Ranks are dealt at random, so that neighbours are not equally popular.
 *
 * @param {number} count
 * @param {number} length
 * @param {number} exponent
 * @param {() => number} random
 * @returns {Uint32Array}
 */
export function zipf(count, length, exponent, random) {
  const cumulative = new Float64Array(count)
  let total = 0
  for (let rank = 0; rank < count; rank++) {
    total += 1 / (rank + 1) ** exponent
    cumulative[rank] = total
  }
  const byRank = shuffle([...Array(count).keys()], random)
  return Uint32Array.from({ length }, () => {
    const point = random() * total
    let low = 0
    let high = count - 1
    while (low < high) {
      const middle = (low + high) >> 1
      if (/** @type {number} */ (cumulative[middle]) > point) high = middle
      else low = middle + 1
    }
    return /** @type {number} */ (byRank[low])
  })
}

const folder = process.env.SARK_CACHE_TRACES ?? path.join(root, '../shared/traces')

/**
 * What is known of a trace on a cache of some capacity.
 *
 * @typedef {object} Reference
 * @property {string} trace
 * @property {number} capacity
 * @property {number} requests
 * @property {number} lru Hits of exact LRU.
 * @property {number} opt Hits of the best that can be, knowing the future.
 */

/**
 * @returns {Reference[] | undefined} `undefined`, after a line saying so, where there are no traces.
 */
export function readReferences() {
  const file = path.join(folder, 'reference.csv')
  if (!existsSync(file)) {
    console.log(`Skipped: there are no traces at ${folder}; SARK_CACHE_TRACES names their folder.`)
    return undefined
  }
  const [header = '', ...rows] = readFileSync(file, 'utf8').trim().split('\n')
  const names = header.split(',')
  return rows.map((row) => {
    const cells = row.split(',')
    /** @param {string} name */
    const cell = (name) => cells[names.indexOf(name)] ?? ''
    return {
      trace: cell('trace'),
      capacity: Number(cell('capacity')),
      requests: Number(cell('requests')),
      lru: Number(cell('lru_hits')),
      opt: Number(cell('opt_hits')),
    }
  })
}

/**
 * The ids that a trace asks for: LEB128 varints of zigzag-coded differences.
 *
 * @param {string} name
 */
export function readTrace(name) {
  const bytes = gunzipSync(readFileSync(path.join(folder, `${name}.trace.gz`)))
  /** @type {number[]} */
  const ids = []
  let [number, scale, id] = [0, 1, 0]
  for (const byte of bytes) {
    number += (byte & 0x7f) * scale
    scale *= 128
    if (byte >= 0x80) continue
    id += number % 2 === 0 ? number / 2 : -(number + 1) / 2
    ids.push(id)
    number = 0
    scale = 1
  }
  return ids
}
