/** One thread of one of the processes. */

import { setTimeout as sleep } from 'node:timers/promises'
import worker from 'node:worker_threads'
import { Redis } from 'ioredis'
import { PolicyCache } from 'sark-cache'
import { redisTier } from 'sark-cache/tier'
import { Directory } from './directory.mjs'
import { evaluate } from './evaluator.mjs'
import { question } from './requests.mjs'

const port = /** @type {import('node:worker_threads').MessagePort} */ (worker.parentPort)
const { memberships, socket, maxStaleness } = worker.workerData
const directory = new Directory(memberships)
const decisions = new PolicyCache({
  name: 'fleet-demo',
  max: 50_000,
  // It is only copied.
  tier: redisTier({ redis: new Redis({ path: socket, lazyConnect: true }), maxStaleness }),
})

const decide = (asked, status) =>
  decisions.decide(asked.query, { evaluate: () => evaluate(directory, asked), status })

/** By a clock that all processes of a machine share, in ms. */
const now = () => Number(process.hrtime.bigint()) / 1e6

const commands = {
  ready: () => decisions.ready(AbortSignal.timeout(15_000)),
  /** Asks until the answer is `allowed`, and says when it was. */
  async until({ id, allowed, ms = 10_000 }) {
    const end = now() + ms
    let asked = 0
    while (now() < end) {
      asked++
      const decision = await decide(question(id))
      if (decision.allowed === allowed) return { at: now(), asked }
      // Four threads that do nothing but ask would be in each other's way.
      await sleep(1)
    }
    throw new Error(`not ${allowed ? 'allowed' : 'denied'} within ${ms} ms`)
  },
  async invalidate({ user }) {
    const began = now()
    try {
      await decisions.invalidate({ user })
      return { began, ended: now() }
    } catch (error) {
      return { began, ended: now(), code: /** @type {{ code?: string }} */ (error).code }
    }
  },
  /** Answers requests for so many ms, and says how often the one that matters was allowed. */
  async serve({ ids, ms, watched }) {
    /** @type {{ served: number, failed: number, allowed: number, lastAllowed: number | undefined, sources: Record<string, number> }} */
    const told = { served: 0, failed: 0, allowed: 0, lastAllowed: undefined, sources: {} }
    const end = now() + ms
    for (let at = 0; now() < end; at++) {
      /** @type {import('sark-cache').LoadStatus} */
      const status = {}
      try {
        await decide(question(ids[at % ids.length]), status)
        told.served++
        const source = status.source ?? 'none'
        told.sources[source] = (told.sources[source] ?? 0) + 1
      } catch {
        told.failed++
      }
      if (at % 64 !== 0) continue
      const decision = await decide(question(watched)).catch(() => undefined)
      if (decision === undefined) told.failed++
      else if (decision.allowed) {
        told.allowed++
        told.lastAllowed = now()
      }
      await new Promise(setImmediate)
    }
    return told
  },
  health: async () => (await decisions.healthCheck()).tier,
  close: () => decisions.close(),
}

port.on('message', async ({ call, command, ...options }) => {
  try {
    port.postMessage({ call, result: await commands[command](options) })
  } catch (error) {
    port.postMessage({ call, error: String(error) })
  }
})
