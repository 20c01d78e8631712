/**
 * What the users of the demo ask for: the access pattern of a real web shop where that trace is at hand,
 * else a Zipf distribution.
 */

import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'
import { ACTIONS, DOCUMENTS, documentId, mix, sensitivityOf, USERS, userId } from './directory.mjs'

const TRACES =
  process.env.SARK_CACHE_TRACES ?? fileURLToPath(new URL('../../../shared/traces', import.meta.url))

const ZIPF = { requests: 100_000, keys: 14_000, exponent: 0.99 }

/** @returns {{ name: string, ids: Uint32Array }} one number a request; equal numbers are equal requests */
export function accessPattern() {
  const file = `${TRACES}/web12.trace.gz`
  if (existsSync(file)) return { name: 'trace web12 (product pages of a shop)', ids: readTrace(file) }
  return { name: `Zipf ${ZIPF.exponent} over ${ZIPF.keys} questions`, ids: zipf(ZIPF) }
}

/** Ids as LEB128 varints of zigzag-coded differences. */
function readTrace(file) {
  const ids = []
  let number = 0
  let scale = 1
  let id = 0
  for (const byte of gunzipSync(readFileSync(file))) {
    number += (byte & 0x7f) * scale
    scale *= 128
    if (byte >= 0x80) continue
    id += number % 2 === 0 ? number / 2 : -(number + 1) / 2
    ids.push(id)
    number = 0
    scale = 1
  }
  return Uint32Array.from(ids)
}

function zipf({ requests, keys, exponent }) {
  const cumulative = new Float64Array(keys)
  let sum = 0
  for (let rank = 0; rank < keys; rank++) cumulative[rank] = sum += (rank + 1) ** -exponent
  return Uint32Array.from({ length: requests }, (_, at) => {
    const point = (mix(at) / 2 ** 32) * sum
    let low = 0
    let high = keys - 1
    while (low < high) {
      const middle = (low + high) >>> 1
      if (/** @type {number} */ (cumulative[middle]) < point) low = middle + 1
      else high = middle
    }
    return low
  })
}

/** The question that a number of the pattern stands for. */
export function question(id) {
  const seed = mix(id)
  const user = seed % USERS
  const document = mix(seed) % DOCUMENTS
  return {
    user,
    document,
    query: {
      user: userId(user),
      action: ACTIONS[mix(id * 3) % ACTIONS.length],
      resource: documentId(document),
      sensitivity: sensitivityOf(document),
      context: {
        hour: 8 + (id % 12),
        secondFactor: seed % 3 !== 0,
        trustedNetwork: seed % 5 !== 0,
      },
    },
  }
}
