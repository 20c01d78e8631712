/**
 * An authorization service: worker threads evaluate Cedar policies and share one cache of the decisions.
 *
 *     npm run demo [-- --engine js|rust] [--threads N] [--seconds N]
 *     npm run demo -- --redis [--rounds N] [--seconds N]      two processes, over Redis or Valkey
 */

import { once } from 'node:events'
import { availableParallelism } from 'node:os'
import { createHistogram } from 'node:perf_hooks'
import { parseArgs } from 'node:util'
import { setFlagsFromString } from 'node:v8'
import { Worker } from 'node:worker_threads'

const { values: options } = parseArgs({
  options: {
    engine: { type: 'string' },
    threads: { type: 'string', default: String(Math.min(4, Math.max(2, availableParallelism()))) },
    seconds: { type: 'string' },
    redis: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '200' },
  },
})
// The V8 of Node 20 can abort in the deoptimizer when it discards optimized code into which a call of
// WebAssembly was inlined, as those of Cedar are.
if (process.versions.v8.startsWith('11.')) setFlagsFromString('--no-turbo-inline-js-wasm-calls')
if (options.engine !== undefined) process.env.SARK_CACHE_ENGINE = options.engine

if (options.redis) {
  const { runFleet } = await import('./fleet.mjs')
  await runFleet({ rounds: Number(options.rounds), seconds: Number(options.seconds ?? 3) })
  process.exit()
}

const { isRustCacheAvailable, PolicyCache, rustCacheLoadError } = await import('sark-cache')
const { Directory, DOCUMENTS, GROUPS, USERS, writersOf } = await import('./directory.mjs')
const { evaluate } = await import('./evaluator.mjs')
const { accessPattern, question } = await import('./requests.mjs')

const threads = Number(options.threads)
const seconds = Number(options.seconds ?? 10)
if (!Number.isSafeInteger(threads) || threads < 1) throw new RangeError('--threads must be 1 or more')
if (!(seconds > 0)) throw new RangeError('--seconds must be more than 0')

const cacheName = 'demo-decisions'
const decisions = new PolicyCache({ name: cacheName, max: 50_000, maxSize: 64 * 2 ** 20 })
const directory = new Directory()
const pattern = accessPattern()
const progress = new Int32Array(new SharedArrayBuffer(4))

console.log(
  `${USERS} users, ${GROUPS.length} groups, ${DOCUMENTS} documents; ${pattern.ids.length} requests: ${pattern.name}`,
)
console.log(`${threads} worker threads, the ${decisions.engine} engine`)
if (!isRustCacheAvailable()) console.log(`no native engine: ${rustCacheLoadError()?.cause}`)

const workers = Array.from({ length: threads }, (_, number) => {
  const workerData = { ids: pattern.ids, memberships: directory.shared, threads, number, cacheName, progress }
  return new Worker(new URL('worker.mjs', import.meta.url), { workerData })
})

process.once('SIGINT', async () => {
  console.log('\nstopped')
  await Promise.all(workers.map((worker) => worker.terminate()))
  process.exit(130)
})

async function answerOf(worker) {
  const [{ result, error }] = await once(worker, 'message')
  if (error !== undefined) throw error
  return result
}

/** Sends a command to every worker and waits for all answers. */
function all(command, more = {}) {
  return Promise.all(
    workers.map((worker) => {
      const answer = answerOf(worker)
      worker.postMessage({ command, ...more })
      return answer
    }),
  )
}

/** Answers requests in all threads and shows how far they are. */
async function run(way) {
  Atomics.store(progress, 0, 0)
  const start = performance.now()
  const show = () => {
    const line = `  ${way.padEnd(9)} ${String(Atomics.load(progress, 0)).padStart(7)} requests`
    const time = `${((performance.now() - start) / 1e3).toFixed(1)} s`
    process.stdout.write(process.stdout.isTTY ? `\r${line}  ${time} ` : `${line}  ${time}\n`)
  }
  const timer = setInterval(show, process.stdout.isTTY ? 100 : 2_000)
  const results = await all('serve', { way, ms: seconds * 1e3 })
  clearInterval(timer)
  show()
  if (process.stdout.isTTY) process.stdout.write('\n')
  const latency = createHistogram()
  for (const result of results) latency.add(result.latency)
  const sum = (pick) => results.reduce((total, result) => total + pick(result), 0)
  const served = sum((result) => result.served)
  return {
    served,
    allowed: sum((result) => result.allowed),
    perSecond: served / Math.max(...results.map((result) => result.seconds)),
    latency,
    evaluations: sum((result) => result.evaluations),
    hits: sum((result) => result.hits),
  }
}

const whole = (number) => Math.round(number).toLocaleString('en-US')
const micro = (latency, percentile) => `${(latency.percentile(percentile) / 1e3).toFixed(1)} µs`

function row(name, { served, perSecond, latency }) {
  return [name, whole(served), whole(perSecond), micro(latency, 50), micro(latency, 95), micro(latency, 99)]
}

function print(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((cells) => cells[column].length)))
  for (const cells of rows) {
    console.log(
      `  ${cells.map((cell, at) => (at === 0 ? cell.padEnd(widths[at]) : cell.padStart(widths[at]))).join('   ')}`,
    )
  }
}

/** A user who may write a document only as a member of the group of its writers. */
function findRevocable() {
  for (const id of new Set(pattern.ids)) {
    const asked = question(id)
    const decision = evaluate(directory, asked)
    if (decision.allowed && decision.policies.join() === 'group-write') return { id, asked }
  }
  throw new Error('nobody in the directory may write as a member of a group')
}

await Promise.all(workers.map(answerOf))
const uncached = await run('uncached')
const cached = await run('cached')

console.log()
print([
  ['', 'requests', 'per second', 'p50', 'p95', 'p99'],
  row('without cache', uncached),
  row('with cache', cached),
])
const { size, bytes } = await decisions.healthCheck()
console.log()
print([
  ['hit rate', `${((100 * cached.hits) / cached.served).toFixed(1)} %`],
  ['evaluations saved', `${whole(cached.served - cached.evaluations)} of ${whole(cached.served)}`],
  ['faster', `${(cached.perSecond / uncached.perSecond).toFixed(1)} x`],
  ['entries', decisions.engine === 'rust' ? whole(size) : 'a cache of its own in each thread'],
  ['bytes', decisions.engine === 'rust' ? whole(bytes) : '-'],
])

const { id, asked } = findRevocable()
const group = writersOf(asked.document)
const { user, action, resource } = asked.query
const shown = (answers) =>
  answers
    .map(
      (answer, at) =>
        `thread ${at + 1}: ${answer.allowed ? 'allowed' : 'denied'} (${answer.cached ? 'cached' : 'evaluated'})`,
    )
    .join('   ')

console.log(`\n${user}, ${action}, ${resource}`)
await all('ask', { id })
console.log(`  before            ${shown(await all('ask', { id }))}`)
directory.revoke(asked.user, group)
if (decisions.engine === 'rust') {
  await decisions.invalidate({ user })
} else {
  // The fallback engine keeps a cache in each thread, so each must be told.
  await all('invalidate', { what: { user } })
}
console.log(`  ${user} leaves ${GROUPS[group]}; invalidate({ user: '${user}' })`)
const after = await all('ask', { id })
console.log(`  after             ${shown(after)}`)

await Promise.all(workers.map((worker) => worker.terminate()))
decisions.close()
if (after.some((answer) => answer.allowed)) {
  console.error('a revoked permission was granted')
  process.exitCode = 1
}
