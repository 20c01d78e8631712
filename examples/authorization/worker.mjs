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

const ways = {
  uncached: async (asked) => evaluate(directory, asked),
  cached: (asked) => decisions.decide(asked.query, { evaluate: () => evaluate(directory, asked) }),
}

/** Answers this thread's share of the requests, for at most `ms`. */
async function serve({ way, ms }) {
  const answer = ways[way]
  const latency = createHistogram()
  const start = performance.now()
  let served = 0
  let allowed = 0
  for (let at = number; at < ids.length; at += threads) {
    const asked = question(ids[at])
    const begun = process.hrtime.bigint()
    const decision = await answer(asked)
    latency.record(process.hrtime.bigint() - begun)
    served++
    if (decision.allowed) allowed++
    if (served % BATCH === 0) {
      Atomics.add(progress, 0, BATCH)
      if (performance.now() - start > ms) break
      await new Promise(setImmediate)
    }
  }
  return {
    served,
    allowed,
    seconds: (performance.now() - start) / 1e3,
    latency,
    metrics: decisions.getMetrics(),
  }
}

const commands = {
  serve,
  ask: async ({ id }) => {
    const { hits } = decisions.getMetrics()
    const decision = await ways.cached(question(id))
    return { allowed: decision.allowed, cached: decisions.getMetrics().hits > hits }
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
