/** One thread of the authorization service. */

import { createHistogram } from 'node:perf_hooks'
import worker from 'node:worker_threads'
import { PolicyCache } from 'sark-cache'
import { Directory } from './directory.mjs'
import { evaluate } from './evaluator.mjs'
import { question } from './requests.mjs'

const port = /** @type {import('node:worker_threads').MessagePort} */ (worker.parentPort)
const { ids, memberships, threads, number, cacheName, progress } = worker.workerData
const directory = new Directory(memberships)
const decisions = new PolicyCache({ name: cacheName, max: 50_000, maxSize: 64 * 2 ** 20 })

/** Requests answered between two turns of the event loop. */
const BATCH = 64

/** Evaluations by this thread: the metrics of the cache are those of all threads. */
let evaluations = 0

function evaluated(asked) {
  evaluations++
  return evaluate(directory, asked)
}

/** Ways to an answer; `status` is told where it came from. */
const ways = {
  uncached: async (asked, _status) => evaluated(asked),
  cached: (asked, status) => decisions.decide(asked.query, { evaluate: () => evaluated(asked), status }),
}

/** Answers this thread's share of the requests, for at most `ms`. */
async function serve({ way, ms }) {
  const answer = ways[way]
  const latency = createHistogram()
  const start = performance.now()
  const before = evaluations
  let served = 0
  let allowed = 0
  let hits = 0
  for (let at = number; at < ids.length; at += threads) {
    const asked = question(ids[at])
    const begun = process.hrtime.bigint()
    /** @type {import('sark-cache').LoadStatus} */
    const status = {}
    const decision = await answer(asked, status)
    latency.record(process.hrtime.bigint() - begun)
    served++
    if (decision.allowed) allowed++
    if (status.source === 'hit') hits++
    if (served % BATCH === 0) {
      Atomics.add(progress, 0, BATCH)
      if (performance.now() - start > ms) break
      await new Promise(setImmediate)
    }
  }
  return {
    served,
    allowed,
    hits,
    evaluations: evaluations - before,
    seconds: (performance.now() - start) / 1e3,
    latency,
  }
}

const commands = {
  serve,
  ask: async ({ id }) => {
    /** @type {import('sark-cache').LoadStatus} */
    const status = {}
    const { allowed } = await ways.cached(question(id), status)
    return { allowed, cached: status.source === 'hit' }
  },
  invalidate: async ({ what }) => decisions.invalidate(what),
}

port.on('message', async ({ command, ...options }) => {
  try {
    port.postMessage({ result: await commands[command](options) })
  } catch (error) {
    port.postMessage({ error })
  }
})
port.postMessage({ result: { engine: decisions.engine } })
