import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe } from 'vitest'
import { type Available, available, skipped, startServer } from '../../scripts/servers.mjs'
import { portsOf } from '../../src/tier/clients/connect.js'
import type { RedisPort, RedisReply } from '../../src/tier/clients/port.js'

export type Server = Awaited<ReturnType<typeof startServer>>

/** Declares tests for each server that there is; those that there are not are shown as skipped. */
export function describeServers(
  what: string,
  body: (server: () => Server, kind: Available['kind']) => void,
  args: readonly string[] = [],
): void {
  for (const kind of skipped()) describe.skip(`${what}: ${kind}, which is not available`, () => {})
  for (const { kind, version } of available()) {
    describe(`${what}: ${kind} (${version})`, () => {
      let server: Server
      beforeAll(async () => {
        server = await startServer(kind, { args })
      })
      afterAll(async () => server?.stop())
      body(() => server, kind)
    })
  }
}

/** Resolves when a port is open. */
export function opened(port: RedisPort): Promise<void> {
  return new Promise((resolve) => port.on('open', resolve))
}

/** A port to a server by ioredis, open. */
export async function openPort(server: Server, options: object = {}): Promise<RedisPort> {
  const client = new Redis({ path: server.unixSocket ?? '', lazyConnect: true, ...options })
  const port = portsOf(client, '{a}')('data')
  await opened(port)
  return port
}

/** What a reply holds, with strings for buffers. */
export function textOf(reply: RedisReply): unknown {
  if (Buffer.isBuffer(reply)) return reply.toString()
  return Array.isArray(reply) ? (reply as RedisReply[]).map(textOf) : reply
}
