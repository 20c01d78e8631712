import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { available, startServer } from '../../../scripts/servers.mjs'
import type { Server } from '../../support/redis.js'
import { now, STALENESS } from '../nemesis/shapes.mjs'
import { type Report, sleep, underLoad, until } from './under-load.js'

const guarded = available().find((each) => each.sentinel !== undefined)

const CONFIG = `
sentinel down-after-milliseconds main 1000
sentinel failover-timeout main 6000
`

describe.skipIf(guarded === undefined)('a master, two replicas and three Sentinels', () => {
  let folder: string
  let servers: Server[]
  let sentinels: Server[]

  beforeAll(async () => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'sark-sentinel-'))
    servers = []
    sentinels = []
    const args = ['--repl-diskless-sync-delay', '0']
    for (let n = 0; n < 3; n++) servers.push(await startServer('redis-7.0', { port: 0, args }))
    const [master, ...replicas] = servers as [Server, ...Server[]]
    for (const each of replicas) {
      await each.ask('REPLICAOF', '127.0.0.1', String(master.port))
      await until('it is a replica', async () =>
        (await each.ask('INFO', 'replication')).includes('master_link_status:up'),
      )
    }
    for (let n = 0; n < 3; n++) {
      const config = path.join(folder, `sentinel${n}.conf`)
      writeFileSync(config, `sentinel monitor main 127.0.0.1 ${master.port} 2\n${CONFIG}`)
      sentinels.push(await startServer('redis-7.0', { port: 0, config }))
    }
    for (const each of sentinels)
      await until('the Sentinels know each other and the replicas', async () => {
        const text = await each.ask('SENTINEL', 'MASTER', 'main')
        const count = (name: string) => new RegExp(`${name}\\r\\n\\$\\d+\\r\\n(\\d+)`).exec(text)?.[1]
        return count('num-slaves') === '2' && count('num-other-sentinels') === '2'
      })
  }, 60_000)
  afterAll(async () => {
    for (const each of [...sentinels, ...servers]) await each.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  async function current(): Promise<Server> {
    const reply = await (sentinels[0] as Server).ask('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', 'main')
    const port = Number(/\$\d+\r\n(\d+)\r\n/.exec(reply)?.[1])
    return servers.find((each) => each.port === port) as Server
  }

  it.each([
    [
      'by order',
      async (master: Server) => {
        await until('it is accepted', async () =>
          (await (sentinels[0] as Server).ask('SENTINEL', 'FAILOVER', 'main')).startsWith('+OK'),
        )
        await until('another is the master', async () => (await current()) !== master)
      },
    ],
    [
      'for the master died',
      async (master: Server) => {
        await master.kill()
        await until('another is the master', async () => (await current()) !== master)
        await sleep(1_000)
        await master.start()
      },
    ],
  ])('serve nothing too old at a failover %s', async (what, failOver) => {
    const { port } = sentinels[1] as Server
    const specs = ['ioredis sentinel', 'redis sentinel', 'ioredis sentinel'].map((client) => ({
      client,
      port,
    }))
    // While two servers are masters whoever is connected to the one that was deposed cannot know of the other.
    const split: [from: number, to: number][] = []
    const { totals, reports } = await underLoad(specs, async (progress) => {
      for (let n = 0; n < 2; n++) {
        const master = await current()
        const from = now()
        await failOver(master)
        await until('the old master is a replica', async () => (await master.ask('ROLE')).includes('slave'))
        split.push([from, now() + STALENESS])
        await progress()
        await sleep(1_000)
      }
    })
    process.stdout.write(`Sentinel, ${what}: ${JSON.stringify(totals)}\n`)
    // What a server acknowledged that was no master any more may be missing on the next.
    const isExcused = ({ promise, at = 0 }: Report) =>
      promise === 'T3' || (promise === 'T2' && split.some(([from, to]) => from <= at && at <= to))
    expect(reports.filter((report) => !isExcused(report))).toEqual([])
    if (reports.length > 0) process.stdout.write(`  ${reports.length} reads while there were two masters\n`)
  })
})
