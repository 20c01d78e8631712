import { afterEach, beforeEach, expect, it } from 'vitest'
import { TieredCache } from '../../src/tier/tier.js'
import { sleep } from '../support/engines.js'
import { SimulatedPort } from './simulation/network.js'
import { Server } from './simulation/server.js'

let master: Server
let ports: SimulatedPort[]
let timer: NodeJS.Timeout

/** Connects what is not connected to the master, and has it answer. */
function serve(): void {
  for (const port of ports) {
    if (port.isClosed) continue
    if (!port.isOpen) port.connect(master)
    const server = port.server as Server
    server.now = performance.now()
    while (port.requests.length > 0) {
      const request = port.requests.shift() as (typeof port.requests)[number]
      try {
        request.reply = server.execute(request.command)
      } catch (error) {
        request.reply = error as Error
      }
      port.replies.push(request)
      port.deliver()
    }
  }
}

beforeEach(() => {
  ports = []
  master = new Server('A', 1_000, 1_000)
  master.incarnation = 1
  timer = setInterval(serve, 1)
})

afterEach(() => clearInterval(timer))

function open(name: string): TieredCache<number> {
  return new TieredCache<number>({
    name: `failover:${name}`,
    namespace: 'n',
    maxStaleness: 200,
    redis: () => {
      const port = new SimulatedPort(0, 0, () => {})
      ports.push(port)
      return port
    },
  })
}

function failOver(): void {
  const old = master
  master = new Server('B', 1_000, 1_000)
  master.syncFrom(old)
}

it('delivers again what a master acknowledged that was lost', async () => {
  await using cache = open('again')
  await cache.ready()
  // The replica knows nothing of what follows.
  failOver()
  const next = master
  master = next.source as Server
  await cache.delete('k')
  expect(master.data.v?.names.has('=k')).toBe(true)
  master = next
  master.promote(2)
  for (const port of ports) port.drop()
  await expect.poll(() => next.data.v?.names.has('=k')).toBe(true)
  expect(cache.stats().clears.epoch).toBe(2)
})

it('does not believe a master that was left behind', async () => {
  await using first = open('first')
  await using second = open('second')
  await Promise.all([first.ready(), second.ready()])
  const old = master
  failOver()
  master.promote(2)
  const [, , data] = ports
  for (const port of ports) if (port !== data) port.drop()
  await sleep(50)
  expect(master.data.v?.g).toBeGreaterThan(old.data.v?.g as number)
  expect(await first.getOrSet('k', () => 1)).toBe(1)
  // The old master kept this connection: what it says is of an epoch that was left behind.
  expect(await second.get('k')).toBe(undefined)
  await expect.poll(() => second.get('k')).toBe(1)
  await first.delete('k')
  await sleep(20)
  expect(second.getLocal('k')).toBe(undefined)
  expect(old.data.v?.names.has('=k')).toBe(false)
})

it('waits with its end for a server that comes back in time', async () => {
  const cache = open('end')
  await cache.ready()
  clearInterval(timer)
  for (const port of ports) port.drop()
  await expect(cache.delete('k')).rejects.toMatchObject({ code: 'ERR_CACHE_CHANGE_PENDING' })
  setTimeout(() => {
    timer = setInterval(serve, 1)
  }, 100)
  await cache.close()
  expect(master.data.v?.names.has('=k')).toBe(true)
})

it('hears of changes again where a master was demoted and kept its connections', async () => {
  await using first = open('demoted')
  await first.ready()
  await expect.poll(() => first.health().redis.attached).toBe(true)
  expect(await first.getOrSet('k', () => 1)).toBe(1)
  // From here on its connection for data has nothing to send.
  await expect.poll(() => first.stats().fills).toBe(1)
  const kept = [...ports]
  failOver()
  master.promote(2)
  // It has the data of before, and answers whoever does not ask who it is.
  const old = kept[0]?.server as Server
  old.isMaster = false
  await using second = open('demoted elsewhere')
  await second.ready()
  expect(kept.every((port) => port.isOpen && port.server === old)).toBe(true)
  await second.delete('k')
  await expect.poll(() => first.getLocal('k')).toBe(undefined)
  await expect.poll(() => first.state).toBe('ok')
  // A connection that is not used may be kept; the one that hears of changes is not.
  expect(kept.every((port) => port.server === old)).toBe(false)
})

it('has nobody wait for a load that is too old, while nothing is heard of changes', async () => {
  await using cache = open('waiting')
  clearInterval(timer)
  expect(cache.state).toBe('connecting')
  const first = cache.getOrSet('k', () => sleep(600).then(() => 1))
  await sleep(300)
  // What it finds in the end began after it came.
  expect(await cache.getOrSet('k', () => 2)).toBe(2)
  expect(await first).toBe(1)
})
