/** A server of Redis or Valkey for the demo, where one is installed. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'

/** Starts one that listens on a socket in a folder of its own; `undefined` where none is installed. */
export async function startServer() {
  const folder = mkdtempSync(path.join(tmpdir(), 'sark-demo-'))
  const socket = path.join(folder, 'socket')
  const removeFolder = () => rmSync(folder, { recursive: true, force: true })
  let child

  async function start(program) {
    const args = ['--port', '0', '--unixsocket', socket, '--save', '', '--appendonly', 'no', '--dir', folder]
    child = spawn(program, args, { stdio: 'ignore' })
    await once(child, 'spawn')
    for (let tries = 0; tries < 200; tries++) {
      const client = new Redis({ path: socket, lazyConnect: true, retryStrategy: () => null })
      client.on('error', () => {})
      const isThere = await client.ping().catch(() => undefined)
      client.disconnect()
      if (isThere) return
      await sleep(25)
    }
    throw new Error(`${program} does not answer`)
  }

  async function kill() {
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
  }

  for (const program of ['redis-server', 'valkey-server']) {
    try {
      await start(program)
    } catch (error) {
      if (/** @type {NodeJS.ErrnoException} */ (error).code === 'ENOENT') continue
      child.kill('SIGKILL')
      removeFolder()
      throw error
    }
    const end = () => {
      child.kill('SIGKILL')
      removeFolder()
    }
    process.once('exit', end)
    return { program, socket, kill, start: () => start(program) }
  }
  removeFolder()
  return undefined
}
