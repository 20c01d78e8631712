import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { Cluster, Redis } from 'ioredis'
import { Cluster as Cluster5 } from 'ioredis5'
import { Cluster as ValkeyCluster } from 'iovalkey'
import { createCluster, createSentinel } from 'redis'
import { createCluster as createCluster5, createSentinel as createSentinel5 } from 'redis5'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { available, freePort, startServer } from '../../scripts/servers.mjs'
import { portsOf } from '../../src/tier/clients/connect.js'
import { mapped, masterOf, slotOf } from '../../src/tier/clients/slots.js'
import { keysOf } from '../../src/tier/names.js'
import { RecordClient } from '../../src/tier/record-client.js'
import type { RecordError } from '../../src/tier/record-error.js'
import { opened, type Server } from '../support/redis.js'
import { isThorough } from '../support/redis-clients.js'

const key = keysOf('ns').newer
const slot = slotOf(key)

interface ClusterClient {
  readonly name: string
  open(port: number): Promise<{ client: object; close(): unknown }>
}

function ofIoRedis(
  name: string,
  Class: new (nodes: { host: string; port: number }[]) => object,
): ClusterClient {
  return {
    name,
    open: async (port) => {
      const client = new Class([{ host: '127.0.0.1', port }]) as Cluster
      client.on('error', () => {})
      await new Promise((resolve) => client.once('ready', resolve))
      return { client, close: () => client.disconnect() }
    },
  }
}

function ofNodeRedis(name: string, create: typeof createCluster): ClusterClient {
  return {
    name,
    open: async (port) => {
      const client = create({ rootNodes: [{ url: `redis://127.0.0.1:${port}` }] })
      client.on('error', () => {})
      await client.connect()
      return { client, close: () => client.destroy() }
    },
  }
}

const clusterClients = [
  ofIoRedis('ioredis 6', Cluster as never),
  ofIoRedis('ioredis 5', Cluster5 as never),
  ofIoRedis('iovalkey', ValkeyCluster as never),
  ofNodeRedis('redis 6', createCluster),
  ofNodeRedis('redis 5', createCluster5 as never),
]

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

const kinds = available().filter((each) => each.kind === 'redis-7.0' || each.kind === 'valkey-8.1')

describe.skipIf(!isThorough).each(kinds)('a cluster of $kind', ({ kind }) => {
  let servers: Server[]

  beforeAll(async () => {
    servers = []
    for (let n = 0; n < 2; n++) {
      const args = ['--cluster-enabled', 'yes', '--cluster-node-timeout', '2000']
      // Its bus is 10 000 above, which not every free port has room for.
      let port = await freePort()
      while (port > 55_000) port = await freePort()
      servers.push(await startServer(kind, { port, args }))
    }
    const [a, b] = servers as [Server, Server]
    await a.ask('CLUSTER', 'ADDSLOTSRANGE', '0', '8191')
    await b.ask('CLUSTER', 'ADDSLOTSRANGE', '8192', '16383')
    await b.ask('CONFIG', 'SET', 'cluster-announce-ip', '127.0.0.1')
    await a.ask('CONFIG', 'SET', 'cluster-announce-ip', '127.0.0.1')
    await a.ask('CLUSTER', 'MEET', '127.0.0.1', String(b.port))
    for (const each of servers) {
      while (!(await each.ask('CLUSTER', 'INFO')).includes('cluster_state:ok')) await sleep(50)
    }
  }, 30_000)
  afterAll(async () => {
    for (const each of servers) await each.stop()
  })

  const idOf = async (server: Server) =>
    (await server.ask('CLUSTER', 'MYID')).match(/[0-9a-f]{40}/)?.[0] ?? ''

  async function move(to: Server): Promise<void> {
    for (const each of servers) await each.ask('DEL', key, keysOf('ns').older, keysOf('ns').log)
    for (const each of servers) await each.ask('CLUSTER', 'SETSLOT', String(slot), 'NODE', await idOf(to))
  }

  it.each(clusterClients)(
    'is reached by $name at the master of the slot, which may move',
    async ({ open }) => {
      const [a, b] = servers as [Server, Server]
      await move(slot < 8192 ? a : b)
      const { client, close } = await open(a.port)
      const port = portsOf(client, key)('data')
      try {
        await opened(port)
        const record = new RecordClient(port, 'ns')
        const at = await record.attach([0, 0])
        expect((await record.change(['=a'], [], true)).at).toEqual([at[0], 1])

        const again = opened(port)
        await move(slot < 8192 ? b : a)
        await expect(record.read('k', { check: false })).rejects.toMatchObject({ failure: 'detached' })
        await again
        const next = await record.attach([at[0], 1])
        expect(next[0]).toBeGreaterThan(at[0])
        expect((await record.change(['=a'], [], true)).at).toEqual([next[0], 1])
      } finally {
        port.close()
        await close()
      }
    },
  )

  it('is waited for while it is not connected', async () => {
    const [a] = servers as [Server, Server]
    const client = new Cluster([{ host: '127.0.0.1', port: a.port }], { lazyConnect: true })
    const port = portsOf(client, key)('data')
    try {
      const open = opened(port)
      await expect(port.send(['PING'])).rejects.toThrow('not open')
      await client.connect()
      await open
      expect(String(await port.send(['PING']))).toBe('PONG')
    } finally {
      port.close()
      client.disconnect()
    }
  })
})

const guarded = available().find((each) => each.sentinel !== undefined)

describe.skipIf(!isThorough || guarded === undefined)('a master that Sentinel names', () => {
  let folder: string
  let servers: Server[]
  let sentinel: Server

  beforeAll(async () => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'sark-sentinel-'))
    const args = ['--repl-diskless-sync-delay', '0']
    servers = [
      await startServer('redis-7.0', { port: 0, args }),
      await startServer('redis-7.0', { port: 0, args }),
    ]
    const [a, b] = servers as [Server, Server]
    await b.ask('REPLICAOF', '127.0.0.1', String(a.port))
    while (!(await b.ask('INFO', 'replication')).includes('master_link_status:up')) await sleep(50)
    const file = path.join(folder, 'sentinel.conf')
    writeFileSync(
      file,
      `sentinel monitor main 127.0.0.1 ${a.port} 1\nsentinel down-after-milliseconds main 1000\n`,
    )
    sentinel = await startServer('redis-7.0', { port: 0, config: file })
  }, 30_000)
  afterAll(async () => {
    for (const each of [sentinel, ...servers]) await each?.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  const node = () => ({ host: '127.0.0.1', port: sentinel.port })
  it.each([
    ['redis 5', false, () => createSentinel5({ name: 'main', sentinelRootNodes: [node()] }).connect()],
    ['redis 6', false, () => createSentinel({ name: 'main', sentinelRootNodes: [node()] }).connect()],
    // One alone: Sentinel takes 10 s to learn of a replica.
    [
      'ioredis 6, another after a failover',
      true,
      async () => new Redis({ sentinels: [node()], name: 'main', lazyConnect: true }),
    ],
  ])(
    'is reached by %s',
    async (_, isFailedOver, create) => {
      const client = (await create()) as { on?(event: 'error', listener: () => void): void }
      client.on?.('error', () => {})
      const port = portsOf(client, key)('data')
      try {
        await opened(port)
        const record = new RecordClient(port, 'ns')
        const at = await record.attach([0, 0])
        if (!isFailedOver) return
        while (!(await sentinel.ask('SENTINEL', 'FAILOVER', 'main')).startsWith('+OK')) await sleep(200)
        let next = at
        while (next[0] === at[0]) {
          await sleep(100)
          next = await record.attach(at).catch((error: RecordError) => {
            // As the tier does with what is no master.
            if (error.failure === 'detached') port.reset()
            return at
          })
        }
        expect((await record.change(['=a'], [], true)).at).toEqual([next[0], 1])
      } finally {
        port.close()
        const { destroy, disconnect } = client as { destroy?(): unknown; disconnect?(): unknown }
        await (destroy ?? disconnect)?.call(client)
      }
    },
    60_000,
  )
})

describe('the slot of a key', () => {
  it.each([
    ['123456789', 12739],
    ['foo', 12182],
    ['{user1000}.following', slotOf('user1000')],
    ['foo{}{bar}', slotOf('foo{}{bar}')],
    ['foo{{bar}}zap', slotOf('{bar')],
    ['', 0],
  ])('of %j is %i', (name, expected) => expect(slotOf(name)).toBe(expected))

  it('may be reached at another address than the cluster tells', () => {
    const [told, real] = [
      { host: '10.0.0.1', port: 7000 },
      { host: 'h', port: 1 },
    ]
    expect(mapped(told, { '10.0.0.1:7000': real })).toEqual(real)
    expect(mapped(told, (address) => (address === '10.0.0.1:7000' ? real : undefined))).toEqual(real)
    for (const map of [undefined, null, {}, () => null]) expect(mapped(told, map)).toEqual(told)
  })

  it('has the master that CLUSTER SLOTS tells', () => {
    const reply = [
      [0, 99, ['10.0.0.1', 7000, 'id'], ['10.0.0.9', 7009]],
      [100, 200, [null, 7001]],
      [201, 300, ['', 0]],
      'x',
    ]
    expect(masterOf(reply, 99, 'h')).toEqual({ host: '10.0.0.1', port: 7000 })
    expect(masterOf(reply, 100, 'h')).toEqual({ host: 'h', port: 7001 })
    expect(masterOf(reply, 250, 'h')).toBeUndefined()
    expect(masterOf(reply, 999, 'h')).toBeUndefined()
    for (const none of [null, 'x', [[0, 9]], [[0, 9, 'x']], [[]]])
      expect(masterOf(none, 5, 'h')).toBeUndefined()
  })
})
