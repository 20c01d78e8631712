import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { available, freePort, startServer } from '../../../scripts/servers.mjs'
import { slotOf } from '../../../src/tier/clients/slots.js'
import type { Server } from '../../support/redis.js'
import { sleep, underLoad, until } from './under-load.js'

const slot = String(slotOf('{sc1:nemesis}:v'))
const kinds = available().filter(({ kind }) => kind === 'redis-7.0' || kind === 'valkey-8.1')

describe.skipIf(kinds.length === 0).each(kinds)('three masters and three replicas of $kind', ({ kind }) => {
  let servers: Server[]

  const idOf = async (server: Server) =>
    (await server.ask('CLUSTER', 'MYID')).match(/[0-9a-f]{40}/)?.[0] ?? ''
  const isMaster = async (server: Server) => (await server.ask('ROLE')).includes('$6\r\nmaster')

  beforeAll(async () => {
    servers = []
    const args = ['--cluster-enabled', 'yes', '--cluster-node-timeout', '2000']
    args.push('--repl-diskless-sync-delay', '0', '--cluster-announce-ip', '127.0.0.1')
    for (let n = 0; n < 6; n++) {
      // Its bus is 10 000 above, which not every free port has room for.
      let port = await freePort()
      while (port > 55_000) port = await freePort()
      servers.push(await startServer(kind, { port, args }))
    }
    const [first] = servers as [Server]
    for (const [n, [from, to]] of [
      ['0', '5460'],
      ['5461', '10922'],
      ['10923', '16383'],
    ].entries())
      await servers[n]?.ask('CLUSTER', 'ADDSLOTSRANGE', from as string, to as string)
    for (const each of servers.slice(1)) await each.ask('CLUSTER', 'MEET', '127.0.0.1', String(first.port))
    for (const each of servers)
      await until('all know each other', async () =>
        (await each.ask('CLUSTER', 'INFO')).includes('cluster_known_nodes:6'),
      )
    for (let n = 0; n < 3; n++) {
      const id = await idOf(servers[n] as Server)
      await until('it is a replica', async () =>
        (await (servers[n + 3] as Server).ask('CLUSTER', 'REPLICATE', id)).startsWith('+OK'),
      )
    }
    for (const each of servers)
      await until('it is ready', async () => (await each.ask('CLUSTER', 'INFO')).includes('cluster_state:ok'))
  }, 60_000)
  afterAll(async () => {
    for (const each of servers) await each.stop()
  })

  /** The master of the slot of the namespace, and a replica of it. */
  async function owners(): Promise<{ master: Server; replica: Server }> {
    let reply = ''
    for (const each of servers) if (reply === '') reply = await each.ask('CLUSTER', 'NODES').catch(() => '')
    const nodes = reply.split('\n').map((line) => line.split(' '))
    const holds = ([from = '', to = from]: string[]) =>
      Number(from) <= Number(slot) && Number(slot) <= Number(to)
    const master = nodes.find(
      (node) => node[2]?.includes('master') && node.slice(8).some((range) => holds(range.trim().split('-'))),
    )
    const replica = nodes.find((node) => node[3] === master?.[0] && !node[2]?.includes('fail'))
    const serverOf = (node: string[] | undefined) => {
      const port = Number(node?.[1]?.match(/:(\d+)@/)?.[1])
      return servers.find((each) => each.port === port) as Server
    }
    return { master: serverOf(master), replica: serverOf(replica) }
  }

  async function failOver(...how: string[]) {
    const { replica } = await owners()
    await until('the replica is there', async () =>
      (await replica.ask('INFO', 'replication')).includes('master_link_status:up'),
    )
    expect(await replica.ask('CLUSTER', 'FAILOVER', ...how)).toMatch(/^\+OK/)
    await until('it is the master', () => isMaster(replica))
  }

  async function migrate() {
    const { master: from } = await owners()
    const masters: Server[] = []
    for (const each of servers) if (await isMaster(each)) masters.push(each)
    const to = masters.find((each) => each !== from) as Server
    const [fromId, toId] = [await idOf(from), await idOf(to)]
    expect(await to.ask('CLUSTER', 'SETSLOT', slot, 'IMPORTING', fromId)).toMatch(/^\+OK/)
    expect(await from.ask('CLUSTER', 'SETSLOT', slot, 'MIGRATING', toId)).toMatch(/^\+OK/)
    await sleep(300)
    for (;;) {
      const keys = (await from.ask('CLUSTER', 'GETKEYSINSLOT', slot, '20')).match(/\{sc1:[^\r]*/g)
      if (keys === null) break
      await from.ask('MIGRATE', '127.0.0.1', String(to.port), '', '0', '5000', 'REPLACE', 'KEYS', ...keys)
      await sleep(30)
    }
    for (const each of [to, from, ...masters.filter((other) => other !== to && other !== from)])
      expect(await each.ask('CLUSTER', 'SETSLOT', slot, 'NODE', toId)).toMatch(/^\+OK/)
  }

  it.each([
    ['a failover that waits', () => failOver()],
    ['a failover that asks nobody', () => failOver('TAKEOVER')],
    ['a slot that moves', () => migrate()],
    [
      'a master that dies',
      async () => {
        const { master } = await owners()
        await master.kill()
        await until('another is the master', async () => (await owners()).master !== master)
        await sleep(2_000)
        await master.start()
      },
    ],
  ])('serve nothing too old at %s', async (what, event) => {
    const port = (servers[1] as Server).port
    const specs = ['ioredis cluster', 'redis cluster', 'ioredis cluster'].map((client) => ({ client, port }))
    const { totals, reports } = await underLoad(specs, async (progress) => {
      for (let n = 0; n < 2; n++) {
        await event()
        await progress()
        await sleep(1_000)
      }
    })
    process.stdout.write(`${kind}, ${what}: ${JSON.stringify(totals)}\n`)
    // What a server acknowledged that was no master any more may be missing on the next.
    expect(reports.filter(({ promise }) => promise !== 'T3')).toEqual([])
  })
})
