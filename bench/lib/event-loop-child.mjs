// A process of event-loop.bench.mjs: one cache, so that the heap is that of this cache.

import assert from 'node:assert/strict'
import { constants, createHistogram, monitorEventLoopDelay, PerformanceObserver } from 'node:perf_hooks'
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'
import { LRUCache } from 'lru-cache'
import { Cache, CleanupTask } from 'sark-cache'
import { seeded } from './compare.mjs'

/**
 * @typedef {object} Task
 * @property {'churn' | 'holds'} task
 * @property {'sark' | 'lru'} kind
 * @property {number} entries
 * @property {number} ms Of churn, or to wait until entries expire.
 * @property {number} expiring Entries to clean up.
 */

/** Of one turn of the event loop in ms: what the churn takes of it. */
const SLICE_MS = 1
/** Long enough for nothing to expire meanwhile, in ms. */
const TTL = 3_600_000
const WARMUP_MS = 300

/** @typedef {Awaited<ReturnType<typeof churn>>} Churn */
/** @typedef {Awaited<ReturnType<typeof holds>>} Holds */

/** @param {number} id */
const keyOf = (id) => `user-${id % 5000}:read:document-${id}`

/** @param {number} id */
const decisionOf = (id) => ({
  allowed: id % 3 !== 0,
  policy: id % 4096,
  reason: id % 3 === 0 ? 'no policy applies to it' : 'role editor of the folder',
  evaluatedAt: 1_750_000_000_000 + id,
})

/**
 * @param {'sark' | 'lru'} kind
 * @param {number} max
 */
function open(kind, max) {
  return kind === 'sark' ? new Cache({ max, ttl: TTL, engine: 'rust' }) : new LRUCache({ max, ttl: TTL })
}

/** What the process has taken, garbage collected, in bytes. */
function memory() {
  const { gc } = globalThis
  assert.ok(gc !== undefined, 'run with --expose-gc')
  gc()
  gc()
  const { rss, heapUsed } = process.memoryUsage()
  return { rss, heapUsed }
}

/**
 * Inserts new keys at capacity and reads younger ones, a slice in each turn of the event loop.
 *
 * @param {Task} task
 */
async function churn({ kind, entries, ms }) {
  const before = memory()
  const cache = open(kind, entries)
  let next = 0
  for (; next < entries; next++) cache.set(keyOf(next), decisionOf(next))
  const after = memory()

  const random = seeded(3)
  let operations = 0
  const slice = () => {
    const start = performance.now()
    do {
      for (let op = 0; op < 16; op++, next++) {
        cache.set(keyOf(next), decisionOf(next))
        const id = next - Math.floor((random() * entries) / 2)
        const value = /** @type {ReturnType<typeof decisionOf> | undefined} */ (cache.get(keyOf(id)))
        assert.equal(value?.policy, id % 4096)
      }
      operations += 32
    } while (performance.now() - start < SLICE_MS)
  }
  for (const start = performance.now(); performance.now() - start < WARMUP_MS; await turn()) slice()

  /** @type {{ isMajor: boolean, ms: number }[]} */
  const collections = []
  /** @param {readonly import('node:perf_hooks').PerformanceEntry[]} found */
  const note = (found) => {
    for (const { duration, detail } of /** @type {any[]} */ (found)) {
      collections.push({ isMajor: detail.kind !== constants.NODE_PERFORMANCE_GC_MINOR, ms: duration })
    }
  }
  const observer = new PerformanceObserver((list) => note(list.getEntries()))
  observer.observe({ entryTypes: ['gc'] })
  const delay = monitorEventLoopDelay({ resolution: 1 })
  const turns = createHistogram()
  delay.enable()
  operations = 0
  const start = performance.now()
  let last = start
  while (last - start < ms) {
    slice()
    await turn()
    const now = performance.now()
    turns.record(Math.max(1, Math.round((now - last) * 1e6)))
    last = now
  }
  delay.disable()
  note(observer.takeRecords())
  observer.disconnect()
  assert.equal(cache.size, entries)
  const { heapUsed } = memory()
  const major = collections.filter(({ isMajor }) => isMajor)
  const total = (/** @type {typeof collections} */ of) => of.reduce((sum, { ms }) => sum + ms, 0)
  return {
    bytesPerEntry: (after.rss - before.rss) / entries,
    heapMiB: heapUsed / 2 ** 20,
    opsPerSecond: (operations / (last - start)) * 1000,
    turn: percentiles(turns),
    delay: percentiles(delay),
    gc: {
      share: total(collections) / (last - start),
      majorMs: total(major),
      majors: major.length,
      longestMs: Math.max(0, ...collections.map(({ ms }) => ms)),
    },
  }
}

/** @param {{ percentile: (part: number) => number, max: number }} of Nanoseconds. */
function percentiles(of) {
  const [p50, p99, p999] = [50, 99, 99.9].map((part) => of.percentile(part) / 1e6)
  return { p50: Number(p50), p99: Number(p99), p999: Number(p999), max: of.max / 1e6 }
}

/**
 * How long the event loop is held while much is removed.
 *
 * @param {Task} task
 */
async function holds({ entries, ms, expiring }) {
  const fill = () => {
    const cache = open('sark', entries)
    for (let id = 0; id < entries; id++) cache.set(keyOf(id), decisionOf(id))
    assert.equal(cache.size, entries)
    return /** @type {Cache} */ (cache)
  }
  let cache = fill()
  const clear = await longestTurn(async () => cache.clear())
  assert.equal(cache.size, 0)
  cache.close()

  cache = fill()
  const close = await longestTurn(async () => cache.close())

  const short = new Cache({ max: expiring, engine: 'rust' })
  const expiresAt = Date.now() + ms
  for (let id = 0; id < expiring; id++) short.set(keyOf(id), decisionOf(id), { expiresAt })
  assert.ok(Date.now() < expiresAt, 'entries expire before all are there')
  await sleep(expiresAt - Date.now() + 50)
  const cleanup = new CleanupTask(short)
  const cleaning = await longestTurn(async () => {
    assert.equal(await cleanup.trigger(), expiring)
  })
  assert.equal(short.size, 0)
  const { longestSliceMs, slices, lastDurationMs } = cleanup.getMetrics()
  short.close()
  return { clear, close, cleaning, cleanup: { longestSliceMs, slices, durationMs: lastDurationMs } }
}

/**
 * The ms of the longest turn of the event loop from the start of an action to a while after its end.
 *
 * @param {() => Promise<void>} action
 */
async function longestTurn(action) {
  let longest = 0
  let isDone = false
  const done = turn()
    .then(action)
    .then(() => sleep(200))
    .finally(() => {
      isDone = true
    })
  for (let last = performance.now(); !isDone; ) {
    await turn()
    const now = performance.now()
    longest = Math.max(longest, now - last)
    last = now
  }
  await done
  return longest
}

/** @type {Task} */
const task = JSON.parse(process.argv[2] ?? '')
process.send?.(await (task.task === 'churn' ? churn(task) : holds(task)))
