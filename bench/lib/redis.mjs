import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { atEnd } from './at-end.mjs'

/** Ms within which the server must answer, and within which it must have ended. */
const PATIENCE = 10_000

/**
 * A server of its own, listening on a unix socket alone, and a client of it.
 *
 * @typedef {object} RedisServer
 * @property {InstanceType<typeof Redis>} client
 * @property {string} version
 * @property {string} socket
 * @property {() => Promise<void>} stop
 */

/**
 * Starts a Redis server that keeps nothing on disk. It is stopped when this process ends, if not before.
 *
 * @returns {Promise<RedisServer | undefined>} `undefined`, after a line saying so, where it is not installed.
 */
export async function startRedis() {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'sark-cache-bench-'))
  const socket = path.join(dir, 'redis.sock')
  const removeDir = () => rmSync(dir, { recursive: true, force: true })
  const settings = { port: '0', unixsocket: socket, save: '', appendonly: 'no', dir, daemonize: 'no' }
  const server = spawn(
    'redis-server',
    Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]),
    { stdio: ['ignore', 'pipe', 'pipe'] },
  )
  try {
    await once(server, 'spawn')
  } catch (error) {
    removeDir()
    if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'ENOENT') throw error
    console.log('Redis rows are skipped: redis-server is not installed.')
    return undefined
  }

  const ended = once(server, 'exit')
  const forget = atEnd(() => {
    server.kill('SIGKILL')
    removeDir()
  })

  let log = ''
  for (const stream of [server.stdout, server.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => {
      log = (log + text).slice(-4000)
    })
  }

  const client = new Redis({ path: socket, retryStrategy: () => 20, maxRetriesPerRequest: null })
  // The socket is not there at once; what is wrong for longer runs into the time limit below.
  client.on('error', () => {})

  const stop = async () => {
    client.disconnect()
    server.kill('SIGTERM')
    const hasEnded = await Promise.race([ended.then(() => true), sleep(PATIENCE, false, { ref: false })])
    if (!hasEnded) server.kill('SIGKILL')
    await ended
    forget()
    removeDir()
  }

  try {
    await Promise.race([
      client.ping(),
      ended.then(([code]) => Promise.reject(new Error(`redis-server exited with ${code}:\n${log}`))),
      sleep(PATIENCE, undefined, { ref: false }).then(() =>
        Promise.reject(new Error(`redis-server did not answer within ${PATIENCE} ms:\n${log}`)),
      ),
    ])
    const version = /redis_version:(\S+)/.exec(await client.info('server'))?.[1] ?? 'unknown'
    return { client, version, socket, stop }
  } catch (error) {
    await stop()
    throw error
  }
}
