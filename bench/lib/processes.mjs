import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { root } from '../../scripts/lib.mjs'

/**
 * Calls `action` when this process ends, even if a signal ends it.
 *
 * @param {() => void} action
 * @returns {() => void} Takes it back.
 */
export function atEnd(action) {
  process.once('exit', action)
  // A signal that is not handled would end this process without an `exit` event.
  const interrupt = () => process.exit(130)
  process.once('SIGINT', interrupt)
  process.once('SIGTERM', interrupt)
  return () => {
    process.off('exit', action)
    process.off('SIGINT', interrupt)
    process.off('SIGTERM', interrupt)
  }
}

/** Ms within which the server must answer, and within which it must have ended. */
const PATIENCE = 10_000

/**
 * A server of its own, listening on a unix socket alone, and a client of it.
 *
 * @typedef {object} RedisServer
 * @property {InstanceType<(typeof import('ioredis'))['Redis']>} client
 * @property {string} version
 * @property {string} socket
 * @property {() => Promise<void>} stop
 */

/**
 * Starts a Redis server that keeps nothing on disk. It is stopped when this process ends, if not before.
 *
 * @param {number} [port] Where it listens besides; 0 for nowhere.
 * @returns {Promise<RedisServer | undefined>} `undefined`, after a line saying so, where it is not installed.
 */
export async function startRedis(port = 0) {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'sark-cache-bench-'))
  const socket = path.join(dir, 'redis.sock')
  const removeDir = () => rmSync(dir, { recursive: true, force: true })
  const settings = {
    port: String(port),
    bind: '127.0.0.1',
    unixsocket: socket,
    save: '',
    appendonly: 'no',
    dir,
    daemonize: 'no',
  }
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

  // Only where there is a server: other benchmarks take their processes from here, too.
  const { Redis } = await import('ioredis')
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

const command = path.join(root, 'tools/node_modules/node24-linux-x64/bin/node')
const isAgain = process.env.SARK_BENCH_AGAIN === '1'

/** The name under which a benchmark that is run again keeps its figures. */
export const nameHere = (/** @type {string} */ name) => (isAgain ? `${name}-node24` : name)

/**
 * Runs a benchmark again on the Node.js 24 that `node scripts/tools.mjs` installs, unless this is one.
 *
 * @param {string} file
 */
export async function runOnNode24(file) {
  if (isAgain || process.versions.node.startsWith('24.')) return
  if (!existsSync(command)) {
    console.log('\nNot run on Node.js 24: it is not in tools/ (node scripts/tools.mjs installs it).')
    return
  }
  console.log('\n--- again, on Node.js 24 ---')
  const env = { ...process.env, SARK_BENCH_AGAIN: '1' }
  const child = spawn(command, [file], { stdio: 'inherit', env })
  const forget = atEnd(() => child.kill())
  const [code] = await once(child, 'exit')
  forget()
  if (code !== 0) process.exitCode = 1
}
