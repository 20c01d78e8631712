/**
 * Processes of a cluster, each with a cache of its own of one name: prints their metrics added up, and ends.
 */

import cluster from 'node:cluster'
import { once } from 'node:events'
import { AggregatorRegistry } from 'prom-client'

const PROCESSES = 3

if (cluster.isPrimary) {
  const registry = new AggregatorRegistry()
  const workers = Array.from({ length: PROCESSES }, () => cluster.fork())
  await Promise.all(
    workers.map(async (worker) => {
      for (;;) if ((await once(worker, 'message'))[0] === 'ready') return
    }),
  )
  process.stdout.write(await registry.clusterMetrics())
  cluster.disconnect()
} else {
  const { Cache } = await import('sark-cache')
  const { exposeMetrics } = await import('sark-cache/prometheus')
  exposeMetrics()
  new AggregatorRegistry()
  const cache = new Cache({ name: 'clustered', max: 100 })
  await cache.getOrSet('k', async () => process.pid)
  for (let n = 0; n < 10; n++) cache.set(`n${n}`, n)
  process.send('ready')
}
