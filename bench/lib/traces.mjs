import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { gunzipSync } from 'node:zlib'
import { root } from './versions.mjs'

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
