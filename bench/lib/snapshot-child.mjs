// Fills a cache, dumps it and loads it into another one, and sends how long that took and for how long the event loop
// was held.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Cache } from 'sark-cache'
import { dump, load } from 'sark-cache/snapshot'

/**
 * @typedef {object} Task
 * @property {number} entries
 */

/**
 * @typedef {object} Step
 * @property {number} ms
 * @property {number} longest The longest turn of the event loop, in ms.
 * @property {number} long How many turns lasted longer than 5 ms.
 */

/**
 * @typedef {object} Measured
 * @property {Step} nothing A second in which nothing is done: what the machine itself takes.
 * @property {Step} dump
 * @property {Step} load
 * @property {number} bytes
 */

const { entries } = /** @type {Task} */ (JSON.parse(process.argv[2] ?? ''))

/**
 * Times `body`, and the turns of the event loop meanwhile.
 *
 * @param {() => Promise<unknown>} body
 * @returns {Promise<Step>}
 */
async function timed(body) {
  /** @type {number[]} */
  const turns = []
  let isOn = true
  let last = performance.now()
  const tick = () => {
    const now = performance.now()
    turns.push(now - last)
    last = now
    if (isOn) setImmediate(tick)
  }
  setImmediate(tick)
  const start = performance.now()
  await body()
  const ms = performance.now() - start
  isOn = false
  const longest = turns.reduce((most, turn) => Math.max(most, turn), 0)
  return { ms, longest, long: turns.filter((turn) => turn > 5).length }
}

const folder = mkdtempSync(path.join(tmpdir(), 'sark-bench-'))
const file = path.join(folder, 'cache.snap')
const options = { max: entries, ttl: 3_600_000 }
const from = new Cache(options)
for (let n = 0; n < entries; n++) {
  from.set(`user:${n}:document:${n % 1_000}`, {
    id: n,
    allowed: true,
    reason: 'member of the group of editors',
  })
}
const to = new Cache(options)
const nothing = await timed(() => new Promise((resolve) => setTimeout(resolve, 1_000)))
let bytes = 0
const dumped = await timed(async () => {
  bytes = (await dump(from, file)).bytes
})
/** @type {unknown} */
let result
const loaded = await timed(async () => {
  result = await load(to, file)
})
if (to.size !== entries) throw new Error(`not all came back: ${JSON.stringify(result)}`)
rmSync(folder, { recursive: true })
/** @type {Measured} */
const measured = { nothing, dump: dumped, load: loaded, bytes }
process.send?.(measured)
process.disconnect?.()
