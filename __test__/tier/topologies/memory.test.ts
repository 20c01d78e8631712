import { describe, expect, it } from 'vitest'
import { available, startServer } from '../../../scripts/servers.mjs'
import { sleep, underLoad } from './under-load.js'

const kinds = available().filter(({ kind }) => kind === 'redis-7.0' || kind === 'valkey-8.1')

describe.skipIf(kinds.length === 0).each(kinds)('a $kind at its limit of memory', ({ kind }) => {
  it('evicts what it likes, the record too, and nothing too old is served', async () => {
    const args = ['--maxmemory', '3mb', '--maxmemory-policy', 'allkeys-lru']
    const server = await startServer(kind, { port: 0, args })
    try {
      const { port } = server
      const specs = ['ioredis', 'redis', 'ioredis'].map((client) => ({ client, port }))
      const { totals, reports } = await underLoad(specs, async (progress) => {
        // Others fill it, and have it evict all the time.
        for (let n = 0; n < 150; n++) {
          const some = Array.from({ length: 50 }, (_, each) => [
            `other:${n}:${each}`,
            'x'.repeat(1_000),
          ]).flat()
          await server.ask('MSET', ...some)
          await sleep(100)
        }
        const evicted = /evicted_keys:(\d+)/.exec(await server.ask('INFO', 'stats'))?.[1]
        expect(Number(evicted)).toBeGreaterThan(1_000)
        await progress()
      })
      process.stdout.write(`${kind}, allkeys-lru: ${JSON.stringify(totals)}\n`)
      expect(reports).toEqual([])
    } finally {
      await server.stop()
    }
  })
})
