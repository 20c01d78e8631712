import { Redis } from 'ioredis'
import { expect, it } from 'vitest'
import { available, startServer } from '../../scripts/servers.mjs'
import { TieredCache } from '../../src/tier/tier.js'

const [first] = available()

it.skipIf(first === undefined)('is given once of a server that may evict the record', async () => {
  const warnings: { code?: string }[] = []
  const onWarning = (warning: Error & { code?: string }) => {
    // Without the native engine there is another one.
    if (warning.code !== 'SARK_CACHE_FALLBACK') warnings.push(warning)
  }
  process.on('warning', onWarning)
  const server = await startServer(first?.kind ?? 'redis-7.0', {
    args: ['--maxmemory-policy', 'allkeys-lru'],
  })
  const redis = new Redis({ path: server.unixSocket ?? '', lazyConnect: true })
  try {
    for (const name of ['first', 'second']) {
      await using cache = new TieredCache({ name: `warning:${name}`, redis })
      await cache.ready()
      await expect.poll(() => warnings.map(({ code }) => code)).toEqual(['SARK_CACHE_EVICTION'])
    }
  } finally {
    process.off('warning', onWarning)
    await server.stop()
  }
})
