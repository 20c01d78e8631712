import { execFile } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { promisify } from 'node:util'
import { Worker } from 'node:worker_threads'
import { Registry } from 'prom-client'
import { expect, it } from 'vitest'
import { Cache, PolicyCache } from '../../src/index.js'
import { exposeMetrics } from '../../src/metrics/prometheus.js'
import { uniqueName, withoutRust } from '../support/engines.js'

const run = promisify(execFile)
const dist = path.join(__dirname, '../../dist/index.js')

/** The value of a sample, by a text that its line holds up to the value. */
function numberOf(text: string, sample: string): number {
  const line = text.split('\n').find((each) => each.startsWith(`${sample} `))
  return Number(line?.slice(sample.length))
}

it('are added up over the processes of a cluster', async () => {
  const { stdout } = await run(process.execPath, [path.join(__dirname, 'programs/cluster.mjs')])
  const labels = 'cache="clustered",kind="cache"'
  const found = ['loads_total', 'entries', 'max_entries', 'load_duration_seconds_count'].map((name) =>
    numberOf(stdout, `sark_cache_${name}{${labels}}`),
  )
  expect(found).toEqual([3, 33, 300, 3])
  expect(numberOf(stdout, `sark_cache_writes_total{${labels},result="stored"}`)).toBe(33)
  expect(numberOf(stdout, `sark_cache_load_duration_seconds_bucket{${labels},le="+Inf"}`)).toBe(3)
})

it.skipIf(withoutRust)('are those of all threads, told by one of them', async () => {
  const name = uniqueName()
  using _cache = new Cache({ name, max: 1_000 })
  using _decisions = new PolicyCache({ name })
  const source = `
    const { threadId, workerData: name } = require('node:worker_threads')
    const { Cache, PolicyCache } = require(${JSON.stringify(dist)})
    const cache = new Cache({ name })
    const decisions = new PolicyCache({ name, evaluate: ({ user }) => ({ allowed: user === 'alice' }) })
    const run = async () => {
      for (let n = 0; n < 50; n++) await cache.getOrSet(threadId + ' ' + n, async () => n)
      await cache.getOrSet('bad', () => Promise.reject(new Error('down'))).catch(() => {})
      for (let n = 0; n < 20; n++) {
        await decisions.decide({ user: n % 2 ? 'alice' : 'bob', action: threadId + '', resource: 'r' })
      }
      cache.close()
      decisions.close()
    }
    run()
  `
  const threads = [1, 2, 3].map(() => new Worker(source, { eval: true, workerData: name }))
  await Promise.all(threads.map((thread) => once(thread, 'exit')))
  const register = new Registry()
  using _metrics = exposeMetrics({ register })
  const text = await register.metrics()
  const shared = `cache="${name}",kind="cache"`
  const policies = `cache="${name}",kind="policy"`
  expect(numberOf(text, `sark_cache_loads_total{${shared}}`)).toBe(153)
  expect(numberOf(text, `sark_cache_load_failures_total{${shared}}`)).toBe(3)
  expect(numberOf(text, `sark_cache_load_duration_seconds_count{${shared}}`)).toBe(153)
  expect(numberOf(text, `sark_cache_requests_total{${shared},result="error"}`)).toBe(3)
  const decided = (outcome: string, source: string) =>
    numberOf(text, `sark_cache_decisions_total{${policies},outcome="${outcome}",source="${source}"}`)
  expect([decided('allowed', 'cache'), decided('denied', 'cache')]).toEqual([27, 27])
  expect([decided('allowed', 'evaluation'), decided('denied', 'evaluation')]).toEqual([3, 3])
})
