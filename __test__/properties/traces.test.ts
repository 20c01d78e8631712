import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { gunzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { Cache } from '../../src/index.js'
import { engines } from '../support/engines.js'

const folder = process.env.SARK_CACHE_TRACES ?? path.join(__dirname, '../../../shared/traces')
const present = existsSync(`${folder}/reference.csv`)
if (!present) process.stderr.write(`skipped: there are no traces at ${folder}\n`)

/** Ids as LEB128 varints of zigzag-coded differences. */
function readTrace(name: string): number[] {
  const ids: number[] = []
  let [number, scale, id] = [0, 1, 0]
  for (const byte of gunzipSync(readFileSync(`${folder}/${name}.trace.gz`))) {
    number += (byte & 0x7f) * scale
    scale *= 128
    if (byte >= 0x80) continue
    id += number % 2 === 0 ? number / 2 : -(number + 1) / 2
    ids.push(id)
    ;[number, scale] = [0, 1]
  }
  return ids
}

const SMALL = ['cs', 'multi2', 'zigzag', '2_pools', 'web07', 'web12']

/** With and without copies, whose hits are told to the engine a little late. */
const settings = engines.flatMap(
  (engine) =>
    [
      [engine, undefined],
      [engine, false as const],
    ] as const,
)

describe.skipIf(!present).each(settings)('real traces on the %s engine, near: %s', (engine, near) => {
  it.each(SMALL)('hit as often as exact LRU does on %s', (trace) => {
    const ids = readTrace(trace)
    const rows = readFileSync(`${folder}/reference.csv`, 'utf8').split('\n')
    for (const row of rows.filter((line) => line.startsWith(`${trace},`))) {
      const [, max, requests, , lruHits, optHits] = row.split(',').map(Number) as number[]
      using cache = new Cache<number>({ engine, max: max as number, ...(near === false ? { near } : {}) })
      let hits = 0
      for (const id of ids) {
        const key = `block ${id}`
        if (cache.get(key) === undefined) cache.set(key, id)
        else hits++
      }
      expect(cache.stats().hits).toBe(hits)
      expect(hits).toBeLessThanOrEqual(optHits as number)
      // The native engine bounds the work of one eviction, which may cost a little.
      const tolerated = engine === 'rust' ? 0.002 * (requests as number) : 0
      expect(Math.abs(hits - (lruHits as number)), row).toBeLessThanOrEqual(tolerated)
    }
  })
})
