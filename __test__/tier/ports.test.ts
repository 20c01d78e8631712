import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { Cluster, Redis } from 'ioredis'
import { Cluster as Cluster5, Redis as Redis5 } from 'ioredis5'
import { Redis as Valkey, Cluster as ValkeyCluster } from 'iovalkey'
import { createClient, createCluster, createSentinel } from 'redis'
import {
  createClient as createClient5,
  createCluster as createCluster5,
  createSentinel as createSentinel5,
} from 'redis5'
import { build } from 'rolldown'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { available, startServer } from '../../scripts/servers.mjs'
import { portsOf, type RedisClient } from '../../src/tier/clients/connect.js'
import type { RedisPort, RedisRole } from '../../src/tier/clients/port.js'
import { opened, type Server } from '../support/redis.js'
import { clients } from '../support/redis-clients.js'

const kind = available().find((each) => each.kind === 'redis-7.0')?.kind ?? available()[0]?.kind

const run = promisify(execFile)
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))
const root = path.join(__dirname, '../..')

describe.skipIf(kind === undefined).each(clients)(
  'a port by $name',
  ({ create, createBy, module, source, odd }) => {
    let server: Server
    let ports: RedisPort[]

    beforeEach(async () => {
      server = await startServer(kind ?? 'redis-7.0')
      ports = []
    })
    afterEach(async () => {
      for (const port of ports) port.close()
      await server.stop()
    })

    function connect(options: object = {}, role: RedisRole = 'data'): RedisPort {
      const port = portsOf(create(server.unixSocket ?? '', options), '{a}')(role)
      ports.push(port)
      return port
    }
    async function open(options: object = {}): Promise<RedisPort> {
      const port = connect(options)
      await opened(port)
      return port
    }
    const gone = (port: RedisPort) => new Promise<void>((resolve) => port.on('gone', resolve))
    const failure = (promise: Promise<unknown>) =>
      promise.then(
        () => 'none',
        (error: unknown) => (error instanceof Error ? error.message : error),
      )
    const count = async () => (await server.ask('CLIENT', 'LIST')).match(/\bid=/g)?.length

    it.each([
      ['as it is', {}],
      ['with options of its own', odd],
    ])('gives replies as buffers, numbers, null and arrays, of a client %s', async (_, options) => {
      const port = await open(options)
      const bytes = Buffer.from([0, 255, 13, 10, 128])
      expect(String(await port.send(['SET', 'a', new Uint8Array(bytes)]))).toBe('OK')
      expect(await port.send(['GET', 'a'])).toEqual(bytes)
      expect(await port.send(['GET', 'none'])).toBeNull()
      expect(await port.send(['STRLEN', 'a'])).toBe(5)
      expect(await port.send(['MGET', 'a', 'none'])).toEqual([bytes, null])
      expect(await port.send(['EVAL', "return {1,{'a',false},ARGV[1]}", '0', Buffer.from('ü')])).toEqual([
        1,
        [Buffer.from('a'), null],
        Buffer.from('ü'),
      ])
      await port.send(['XADD', 'x', '1-0', 'e', bytes])
      expect(await port.send(['XRANGE', 'x', '-', '+'])).toEqual([
        [Buffer.from('1-0'), [Buffer.from('e'), bytes]],
      ])
      expect(await port.send(['XREAD', 'COUNT', '1', 'BLOCK', '300', 'STREAMS', 'x', '1-0'])).toBeNull()
      expect(await failure(port.send(['EVALSHA', 'f'.repeat(40), '0']))).toMatch(/^NOSCRIPT /)
      expect(await failure(port.send(['LPUSH', 'a', 'b']))).toMatch(/^WRONGTYPE /)
      expect(await port.send(['DEL', 'a', 'x'])).toBe(2)
    })

    it('answers many commands in order', async () => {
      const port = await open(odd)
      const replies = await Promise.all(
        Array.from({ length: 2000 }, (_, n) => port.send(['ECHO', String(n)])),
      )
      expect(replies.map(String)).toEqual(Array.from({ length: 2000 }, (_, n) => String(n)))
    })

    it('rejects at once while there is no server, and opens once there is', async () => {
      await server.kill()
      const port = connect()
      for (let n = 0; n < 5; n++) {
        const began = performance.now()
        expect(await failure(port.send(['SET', 'queued', '1']))).toMatch(/not open/)
        expect(performance.now() - began).toBeLessThan(500)
        await sleep(30)
      }
      expect(await failure(port.send(['PING']))).toMatch(/not open: .*(ENOENT|ECONNREFUSED)/)
      const open = opened(port)
      await server.start()
      await open
      expect(await port.send(['EXISTS', 'queued'])).toBe(0)
    })

    it('rejects what is under way when the server dies, and opens again, more than once', async () => {
      const port = await open()
      for (let round = 0; round < 2; round++) {
        const lost = gone(port)
        const waiting = failure(port.send(['BLPOP', 'none', '0']))
        await sleep(50)
        await server.kill()
        expect(await waiting).not.toBe('none')
        await lost
        expect(await failure(port.send(['PING']))).toMatch(/not open/)
        const open = opened(port)
        await server.start()
        await open
        expect(await port.send(['DBSIZE'])).toBe(0)
      }
    })

    it('may send in the listener that is told of the connection', async () => {
      const port = connect()
      const first = await new Promise((resolve) =>
        port.on('open', () => resolve(port.send(['ECHO', 'first']))),
      )
      expect(String(first)).toBe('first')
    })

    it('opens another connection when it is reset, to a server that does not answer as well', async () => {
      const port = await open()
      const id = await port.send(['CLIENT', 'ID'])
      const waiting = failure(port.send(['BLPOP', 'none', '0']))
      const again = opened(port)
      port.reset()
      port.reset()
      expect(await failure(port.send(['PING']))).toMatch(/not open/)
      expect(await waiting).not.toBe('none')
      await again
      expect(await port.send(['CLIENT', 'ID'])).not.toBe(id)

      server.pause()
      const stopped = failure(port.send(['PING']))
      await sleep(20)
      port.reset()
      expect(await stopped).not.toBe('none')
      const awake = opened(port)
      server.resume()
      await awake
      expect(await count()).toBe(2)
    })

    it('is over when it is closed', async () => {
      const port = await open()
      let told = 0
      port.on('open', () => told++)
      const waiting = failure(port.send(['BLPOP', 'none', '0']))
      port.close()
      port.close()
      port.reset()
      expect(await waiting).not.toBe('none')
      expect(await failure(port.send(['PING']))).toMatch(/closed/)
      await sleep(300)
      expect(told).toBe(0)
      expect(await count()).toBe(1)
    })

    it('may be closed before it is open', async () => {
      const port = connect()
      port.close()
      port.on('open', () => expect.unreachable())
      await sleep(200)
      expect(await count()).toBe(1)
    })

    it('goes on trying where it is not let in', async () => {
      await server.ask('ACL', 'SETUSER', 'tier', 'reset', 'on', '>right', '~*', '+@all')
      const port = connect({ username: 'tier', password: 'wrong' })
      await sleep(150)
      expect(await failure(port.send(['PING']))).toMatch(/not open: WRONGPASS|NOAUTH/)
      const open = opened(port)
      await server.ask('ACL', 'SETUSER', 'tier', '>wrong')
      await open
      expect(String(await port.send(['ACL', 'WHOAMI']))).toBe('tier')
    })

    it('goes to the database of a URL, as the user that it names', async () => {
      const other = await startServer(kind ?? 'redis-7.0', { port: 0 })
      await other.ask('ACL', 'SETUSER', 'tier', 'reset', 'on', '>right', '~*', '+@all')
      const client = createBy(`redis://tier:right@127.0.0.1:${other.port}/3`)
      const port = portsOf(client, '{a}')('data')
      try {
        await opened(port)
        const list = String(await port.send(['CLIENT', 'LIST']))
        expect(list).toMatch(/ db=3 .* user=tier /)
        const again = opened(port)
        port.reset()
        await again
        expect(String(await port.send(['CLIENT', 'LIST']))).toMatch(/ db=3 .* user=tier /)
      } finally {
        port.close()
        await other.stop()
      }
    })

    it('reconnects to a server that ends connections', async () => {
      const port = await open()
      for (let n = 0; n < 3; n++) {
        const [lost, again] = [gone(port), opened(port)]
        await server.ask('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
        await lost
        await again
      }
      expect(await port.send(['EXISTS', 'a'])).toBe(0)
    })

    describe('in a process that ends', () => {
      let folder: string
      beforeAll(async () => {
        folder = mkdtempSync(path.join(os.tmpdir(), 'sark-ports-'))
        await build({
          input: path.join(root, 'src/tier/clients/connect.ts'),
          platform: 'node',
          output: { file: path.join(folder, 'connect.cjs'), format: 'cjs' },
          logLevel: 'silent',
        })
      })
      afterAll(() => rmSync(folder, { recursive: true, force: true }))

      /** Runs a program that has two ports open, and says how long it lived after its last line. */
      async function lastMs(body: string): Promise<number> {
        const program = `
        const module_ = require(${JSON.stringify(require.resolve(module, { paths: [root] }))})
        const { portsOf } = require(${JSON.stringify(path.join(folder, 'connect.cjs'))})
        const [path, pid] = process.argv.slice(1)
        const client = ((module) => ${source})(module_)
        const connect = portsOf(client, '{a}')
        const data = connect('data'), follow = connect('follow')
        const opened = (port) => new Promise((resolve) => port.on('open', resolve))
        const hold = setTimeout(() => {}, 20000)
        const ready = Promise.all([opened(data), opened(follow)])
        const end = () => { clearTimeout(hold); console.log(Date.now()) }
        ${body}`
        const { stdout } = await run(
          process.execPath,
          ['-e', program, server.unixSocket ?? '', String(server.pid)],
          {
            timeout: 25_000,
          },
        )
        return Date.now() - Number(stdout)
      }

      // A process takes a while to end by itself; a socket or a timer would hold it for far longer.
      it.each([
        ['at rest', 'ready.then(end)'],
        [
          'while commands are under way',
          "ready.then(() => { follow.send(['BLPOP', 'x', '0']).catch(() => {}); data.send(['BLPOP', 'x', '0']).catch(() => {}); setTimeout(end, 100) })",
        ],
        [
          'while there is no server',
          "ready.then(() => { process.kill(+pid, 'SIGKILL'); follow.on('gone', () => setTimeout(end, 500)) })",
        ],
        [
          'while the server does not answer',
          "ready.then(() => { process.kill(+pid, 'SIGSTOP'); data.send(['PING']).catch(() => {}); data.reset(); follow.reset(); setTimeout(end, 300) })",
        ],
        ['when they are closed', 'ready.then(() => { data.close(); follow.close(); end() })'],
      ])('holds nothing up %s', async (_, body) => {
        expect(await lastMs(body)).toBeLessThan(1500)
      })
    })
  },
)

describe('the types of clients', () => {
  it('are those that are taken', () => {
    // The compiler is the test.
    const taken = (_client: () => RedisClient) => {}
    taken(() => createClient())
    taken(() => createClient5())
    taken(() => createClient({ RESP: 3 }))
    taken(() => createCluster({ rootNodes: [] }))
    taken(() => createCluster5({ rootNodes: [] }))
    taken(() => createSentinel({ name: '', sentinelRootNodes: [] }))
    taken(() => createSentinel5({ name: '', sentinelRootNodes: [] }))
    taken(() => new Redis())
    taken(() => new Redis5())
    taken(() => new Valkey())
    taken(() => new Cluster([]))
    taken(() => new Cluster5([]))
    taken(() => new ValkeyCluster([]))
    // @ts-expect-error It has neither method.
    taken(() => ({ get() {} }))
    expect(taken).toBeTypeOf('function')
  })
})

describe('a client that is none', () => {
  it.each([
    [undefined, /not undefined/],
    ['redis://', /not "redis:/],
    [{}, /redis, ioredis or iovalkey: an instance of Object has no sendCommand\(\)/],
    [
      { sendCommand() {}, duplicate() {} },
      /redis 5 or 6: .* has no connect\(\), destroy\(\), unref\(\), on\(\)/,
    ],
    [{ callBuffer() {} }, /ioredis 5 or 6 or iovalkey: .* has no duplicate\(\)/],
  ])('is refused: %o', (client, message) => {
    expect(() => portsOf(client, 'a')).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE', message: expect.stringMatching(message) }),
    )
  })

  it('may be a function that opens ports', () => {
    const connect = () => ({}) as RedisPort
    expect(portsOf(connect, 'a')).toBe(connect)
  })
})
