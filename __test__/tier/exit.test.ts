import { spawn } from 'node:child_process'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { available, startServer } from '../../scripts/servers.mjs'
import type { Server } from '../support/redis.js'
import { clients } from '../support/redis-clients.js'

const root = path.join(__dirname, '../..')
const kind = available().find((each) => each.kind === 'redis-7.0')?.kind ?? available()[0]?.kind

/** How often caches are opened and closed. */
const OPENED = process.env.SARK_TEST_NEMESIS === undefined ? 200 : 1_000

/** Ms in which a process ends whose work is done, on a machine that does other things, too. */
const AT_ONCE = 2_000

interface End {
  readonly code: number | null
  readonly output: string
  /** Ms from the last line of its output to its end. */
  readonly ms: number
}

/** Runs a program to its end. */
function run(source: string, args: readonly string[] = []): Promise<End> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['--no-warnings', ...args, '-e', source], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let output = ''
    let last = Number.NaN
    const note = (chunk: Buffer) => {
      output += chunk
      last = performance.now()
    }
    child.stdout.on('data', note)
    child.stderr.on('data', note)
    const timer = setTimeout(() => {
      child.kill('SIGKILL')
      reject(new Error(`it did not end: ${output}`))
    }, 60_000)
    child.on('exit', (code) => {
      clearTimeout(timer)
      resolve({ code, output, ms: performance.now() - last })
    })
  })
}

describe.skipIf(kind === undefined)('a process with tiered caches open', () => {
  let server: Server
  beforeAll(async () => {
    server = await startServer(kind ?? 'redis-7.0')
  })
  afterAll(async () => server?.stop())

  const program = (module: string, source: string, body: string, at = server.unixSocket) => `
    const module_ = require(${JSON.stringify(module)}), path = ${JSON.stringify(at)}
    const { TieredCache } = require('./dist/tier/tier.js')
    ;(async () => {
      const redis = ${source.replaceAll('module.', 'module_.')}
      redis.on('error', () => {})
      const open = (more) => new TieredCache({ name: 'exit', redis, ttl: 60000, loadLease: 100, ...more })
      ${body}
      process.exitCode = 7
      console.log('done')
    })()`

  const use = `
      const cache = open()
      await cache.ready()
      console.log(await cache.getOrSet('k', () => 'loaded', { staleWhileRevalidate: 1000, refreshAhead: 0.9 }))
      await cache.set('s', 1)
      await cache.delete('k')
      await cache.invalidateTag('t')
      console.log(await cache.get('s'))`

  describe.each(clients)('by $name', ({ module, source }) => {
    it('ends by itself, at once, when its work is done', async () => {
      const { code, output, ms } = await run(program(module, source, use))
      expect(output).toMatch(/^loaded\n1\ndone\n$/)
      expect(code).toBe(7)
      expect(ms).toBeLessThan(AT_ONCE)
    })

    it('ends while there is no server, and waits for what is awaited until then', async () => {
      const body = `
      const cache = open()
      console.log(await cache.getOrSet('k', () => 'loaded'), await cache.get('x'))
      console.log(await cache.delete('k').catch((error) => error.code))`
      const { code, output, ms } = await run(program(module, source, body, '/nowhere/s'))
      expect(output).toMatch(/^loaded undefined\nERR_CACHE_CHANGE_PENDING\ndone\n$/)
      expect(code).toBe(7)
      expect(ms).toBeLessThan(AT_ONCE)
    })
  })

  it('ends while the server does not answer, with commands under way', async () => {
    const [client] = clients
    const body = `${use}
      process.kill(${server.pid}, 'SIGSTOP')
      void cache.getOrSet('other', () => 'loaded').then(console.log)
      await cache.delete('k').catch((error) => console.log(error.code))`
    try {
      const { code, output, ms } = await run(program(client?.module ?? '', client?.source ?? '', body))
      expect(output).toMatch(/ERR_CACHE_CHANGE_PENDING\ndone\n$/)
      expect(code).toBe(7)
      expect(ms).toBeLessThan(AT_ONCE)
    } finally {
      server.resume()
    }
  })

  it('ends at once after a close, and with what was closed', async () => {
    const [client] = clients
    const body = `${use}
      await cache.close()
      await cache.close()`
    const { code, ms } = await run(program(client?.module ?? '', client?.source ?? '', body))
    expect(code).toBe(7)
    expect(ms).toBeLessThan(AT_ONCE)
  })

  it('leaves no connection, socket or memory behind, opened and closed again and again', async () => {
    const [client] = clients
    const body = `
      const { readdirSync } = require('node:fs')
      const measure = async () => {
        // What is outside of the heap is given back by finalizers, which run between.
        for (let n = 0; n < 3; n++) {
          await new Promise((resolve) => setTimeout(resolve, 200))
          gc()
        }
        const { heapUsed, external } = process.memoryUsage()
        return [heapUsed, external, process.platform === 'linux' ? readdirSync('/proc/self/fd').length : 0]
      }
      let before
      for (let n = 0; n < ${OPENED}; n += 10) {
        await Promise.all(Array.from({ length: 10 }, async (_, m) => {
          const cache = open({ name: 'exit' + m, namespace: 'exit' })
          // Some are closed before they are connected.
          if (m % 3 !== 0) await cache.ready()
          if (m % 3 === 1) await cache.getOrSet('k' + n, () => 'x'.repeat(1000))
          await cache.close()
        }))
        if (n === ${OPENED / 5}) before = await measure()
      }
      const after = await measure()
      await redis.connect()
      const clients = (await redis.call('CLIENT', 'LIST')).match(/\\bid=/g).length
      redis.disconnect()
      console.log(JSON.stringify({ clients, grown: after.map((size, n) => size - before[n]) }))`
    const { code, output, ms } = await run(program(client?.module ?? '', client?.source ?? '', body), [
      '--expose-gc',
    ])
    expect(code).toBe(7)
    expect(ms).toBeLessThan(AT_ONCE)
    const { clients: connected, grown } = JSON.parse(output.split('\n')[0] ?? '')
    // The one that counts.
    expect(connected).toBe(1)
    const [heap, external, files] = grown
    // With few of them what is compiled meanwhile is most of it.
    expect(heap).toBeLessThan(OPENED < 1_000 ? 10_000_000 : 2_000_000)
    expect(external).toBeLessThan(2_000_000)
    expect(files).toBeLessThan(5)
  }, 90_000)
})
