import { spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { engines } from '../support/engines.js'

const dist = path.join(__dirname, '../../dist/index.js')

/** Runs `body` in a process of its own and says how it ended and what it printed. */
async function inProcess(
  engine: string,
  body: string,
): Promise<{ code: number | null; signal: string | null; out: string }> {
  const script = `
    const { Cache, CleanupTask, PolicyCache } = require(${JSON.stringify(dist)})
    const { Worker } = require('node:worker_threads')
    const cache = new Cache({ name: 'exit', max: 10_000, ttl: 60_000 })
    cache.set('k', { a: 1 })
    new CleanupTask(cache, { interval: 10 }).start()
    ;(async () => { ${body} })()`
  const child = spawn(process.execPath, ['-e', script], {
    env: { ...process.env, SARK_CACHE_ENGINE: engine },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let out = ''
  child.stdout.on('data', (chunk) => {
    out += chunk
  })
  const timer = setTimeout(() => child.kill('SIGKILL'), 15_000)
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null]
  clearTimeout(timer)
  return { code, signal, out: out.trim() }
}

describe.each(engines)('a process on the %s engine', (engine) => {
  it.each([
    ['ends by itself', `console.log(cache.get('k').a)`, 0, null, '1'],
    ['keeps its own exit code', `process.exitCode = 7; console.log('set')`, 7, null, 'set'],
    [
      'exits when it is told to',
      `setInterval(() => {}, 1_000); cache.get('k'); process.exit(3)`,
      3,
      null,
      '',
    ],
    ['fails with its own error', `cache.set('k', 1); throw new Error('mine')`, 1, null, ''],
    [
      'does not wait for a load that never settles',
      `cache.getOrSet('x', () => new Promise(() => {})); console.log('begun')`,
      0,
      null,
      'begun',
    ],
    [
      'waits for the load of another cache as long as somebody does, and no longer',
      `const other = new Cache({ name: 'exit' })
       cache.getOrSet('x', () => new Promise(() => {}))
       await other.getOrSet('x', () => 1, { timeout: 50 }).catch((error) => console.log(error.code))`,
      0,
      null,
      'ERR_CACHE_LOAD_TIMEOUT',
    ],
    [
      'does not wait for a load of its own that it took over and that never settles',
      `const other = new Cache({ name: 'exit' })
       cache.getOrSet('x', () => new Promise(() => {}), { hardTimeout: 50 }).catch(() => {})
       other.getOrSet('x', () => { console.log('taken over'); return new Promise(() => {}) })`,
      0,
      null,
      'taken over',
    ],
    [
      'lives as long as a call waits that has a time-out, and no longer',
      `const never = () => new Promise(() => {})
       await cache.getOrSet('x', never, { timeout: 50 }).catch((error) => console.log(error.code))
       const decisions = new PolicyCache({ timeout: 50, evaluate: never })
       await decisions.decide({ user: 'u', action: 'a', resource: 'r' }).catch((error) => console.log(error.code))
       await cache.getOrSet('y', () => 1, { timeout: 60_000 })`,
      0,
      null,
      'ERR_CACHE_LOAD_TIMEOUT\nERR_CACHE_LOAD_TIMEOUT',
    ],
    [
      'waits for a clean-up that somebody waits for',
      `for (let n = 0; n < 5_000; n++) cache.set('n' + n, n, 5)
       await new Promise((resolve) => setTimeout(resolve, 20))
       const task = new CleanupTask(cache, { sliceMs: 0 })
       console.log(await task.trigger() >= 0)
       await task.stop()
       console.log('stopped')`,
      0,
      null,
      'true\nstopped',
    ],
    [
      'dies of a signal',
      `process.kill(process.pid, 'SIGTERM'); await new Promise((r) => setTimeout(r, 5_000))`,
      null,
      'SIGTERM',
      '',
    ],
    [
      'ends while its workers use the cache',
      `for (let n = 0; n < 3; n++) {
         new Worker(\`const { Cache } = require(${JSON.stringify(dist).replaceAll('"', '\\"')})
           const cache = new Cache({ name: 'exit' })
           for (let n = 0; ; n++) cache.set('w' + n, n)\`, { eval: true })
       }
       setTimeout(() => process.exit(5), 150)`,
      5,
      null,
      '',
    ],
  ])('%s', async (_, body, code, signal, out) => {
    expect(await inProcess(engine, body)).toEqual({ code, signal, out })
  })
})
