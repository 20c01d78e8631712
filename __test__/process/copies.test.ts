import { execFile, spawnSync } from 'node:child_process'
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { withoutRust } from '../support/engines.js'

const root = path.join(__dirname, '../..')
const run = promisify(execFile)
const compiler = process.platform === 'linux' && spawnSync('cc', ['--version']).status === 0

let folder: string
/** Where two copies of the package are installed, and a third whose stores are of another format and which uses its own addon alone. */
let copies: Record<'a' | 'b' | 'other', string>

beforeAll(() => {
  folder = realpathSync(mkdtempSync(path.join(tmpdir(), 'sark-cache-copies-')))
  const install = (name: string) => {
    const copy = path.join(folder, name, 'sark-cache')
    mkdirSync(copy, { recursive: true })
    // Without a toolchain there is no native engine to copy.
    for (const part of withoutRust ? ['dist', 'package.json'] : ['dist', 'native', 'package.json']) {
      cpSync(path.join(root, part), path.join(copy, part), { recursive: true })
    }
    symlinkSync(path.join(root, 'node_modules'), path.join(folder, name, 'node_modules'), 'junction')
    return copy
  }
  copies = { a: install('a'), b: install('b'), other: install('other') }
  patch('const STORE_FORMAT = 3;', 'const STORE_FORMAT = 1000;')
  patch('(peer) => peer.abi === ABI', '(peer) => peer.isOwn')
})

/** Makes the third copy another in this. */
function patch(from: string, to: string): void {
  const place = path.join(copies.other, 'dist/shared/cache.js')
  const source = readFileSync(place, 'utf8')
  expect(source).toContain(from)
  writeFileSync(place, source.replace(from, to))
}

afterAll(() => rmSync(folder, { recursive: true, force: true }))

const PRELUDE = `
  const { Worker, parentPort, workerData, isMainThread } = require('node:worker_threads')
  const { once } = require('node:events')
  const fs = require('node:fs')
  const path = require('node:path')
  const load = (copy) => require(copies[copy] + '/dist/index.js')
  const attempt = (body) => { try { return body() } catch (error) { return { code: error.code, message: error.message } } }
  const inWorker = async (body, data) => {
    const worker = new Worker(prelude + 'const data = workerData;(async () => {' + body + '})().then((result) => parentPort.postMessage({ result }), (error) => parentPort.postMessage({ error: String(error) }))', { eval: true, workerData: data })
    const [{ result, error }] = await once(worker, 'message')
    await worker.terminate()
    if (error) throw new Error(error)
    return result
  }
`

/** What `body` returns in a process of its own. */
async function inProcess(body: string, engine = ''): Promise<unknown> {
  const prelude = `const copies = ${JSON.stringify(copies)};${PRELUDE}`
  const source = `const prelude = ${JSON.stringify(`${prelude};const prelude = '';`)};${prelude}
    ;(async () => { ${body} })().then((result) => { console.log(JSON.stringify(result ?? null)); process.exit(0) },
      (error) => { console.error(error); process.exit(1) })`
  const env = { ...process.env, SARK_CACHE_ENGINE: engine, NODE_OPTIONS: '' }
  const { stdout } = await run(process.execPath, ['-e', source], { env, timeout: 25_000 })
  return JSON.parse(stdout)
}

const both = (found: unknown, name: string, ...folders: string[]) => {
  expect(found).toMatchObject({ code: 'ERR_CACHE_OPTIONS_CONFLICT' })
  for (const part of [JSON.stringify(name), ...folders]) expect((found as Error).message).toContain(part)
}

describe.skipIf(withoutRust)('two copies of one format on the native engine', () => {
  it('share a cache by its name in one thread', async () => {
    const found = await inProcess(`
      const a = new (load('a').Cache)({ name: 'x', max: 50 })
      const b = new (load('b').Cache)({ name: 'x' })
      a.set('k', { n: 1 }, { tags: ['t'] })
      const read = [b.get('k'), b.get('k'), b.settings.max]
      b.invalidateTag('t')
      return [a.engine, b.engine, ...read, a.get('k') ?? null]
    `)
    expect(found).toEqual(['rust', 'rust', { n: 1 }, { n: 1 }, 50, null])
  })

  it('share it between threads that load one of them each', async () => {
    const found = await inProcess(`
      const a = new (load('a').Cache)({ name: 'x' })
      a.set('k', 1, { tags: ['t'] })
      const first = await inWorker(\`
        const b = new (load('b').Cache)({ name: 'x' })
        const read = b.get('k')
        b.invalidateTag('t')
        b.set('from b', 2)
        return [read, b.engine]
      \`)
      return [first, a.get('k') ?? null, a.get('from b')]
    `)
    expect(found).toEqual([[1, 'rust'], null, 2])
  })

  it('share it when workers load them in any order, at the same time', async () => {
    const found = await inProcess(`
      const shared = new Int32Array(new SharedArrayBuffer(4))
      const body = (copy) => \`
        const { Cache } = load('\${copy}')
        const cache = new Cache({ name: 'x' })
        cache.set('\${copy}', '\${copy}')
        const shared = new Int32Array(data)
        Atomics.add(shared, 0, 1)
        while (Atomics.load(shared, 0) < 4) await new Promise((resolve) => setTimeout(resolve, 1))
        return [cache.get('a'), cache.get('b')]
      \`
      const copies = ['a', 'b', 'b', 'a']
      return Promise.all(copies.map((copy) => inWorker(body(copy), shared.buffer)))
    `)
    expect(found).toEqual(Array(4).fill(['a', 'b']))
  })
})

describe.skipIf(withoutRust || process.platform === 'win32')('two copies whose addons cannot be one', () => {
  /** The addon of the first is not on disk any more when the second looks for it. */
  const APART = `
    const a = load('a')
    a.isRustCacheAvailable()
    const gone = fs.readdirSync(path.join(copies.a, 'native')).find((name) => name.endsWith('.node'))
    fs.renameSync(path.join(copies.a, 'native', gone), path.join(copies.a, 'native', gone + '.away'))
    const back = () => fs.renameSync(path.join(copies.a, 'native', gone + '.away'), path.join(copies.a, 'native', gone))
    process.on('exit', back)
    const b = load('b')
    b.isRustCacheAvailable()
  `

  it('refuse a name that the other has open, in this thread and from others', async () => {
    const [inA, inB, fallback, free] = (await inProcess(`
      ${APART}
      const x = new a.Cache({ name: 'x' })
      const y = new b.Cache({ name: 'y' })
      const results = [
        attempt(() => new a.Cache({ name: 'y' })),
        attempt(() => new b.Cache({ name: 'x' })),
        await inWorker("const b = load('b'); b.isRustCacheAvailable(); return attempt(() => new b.Cache({ name: 'x', engine: 'js' }))"),
      ]
      x.close()
      return [...results, attempt(() => new b.Cache({ name: 'x' }).engine)]
    `)) as unknown[]
    both(inA, 'y', copies.a, copies.b)
    both(inB, 'x', copies.a, copies.b)
    both(fallback, 'x', copies.a, copies.b)
    expect(free).toBe('rust')
  })

  it('never both open a name, whoever comes first', async () => {
    const found = (await inProcess(`
      // The other one uses its own addon, and the first one is loaded first.
      load('a').isRustCacheAvailable()
      const body = \`
        const { Cache } = load(data.copy)
        const turns = new Int32Array(data.shared)
        const results = []
        for (let turn = 1; turn <= 300; turn++) {
          Atomics.add(turns, 0, 1)
          while (Atomics.load(turns, 0) < 2 * turn) {}
          let cache
          try { cache = new Cache({ name: 'x ' + turn, engine: 'rust' }) } catch (error) { if (error.code !== 'ERR_CACHE_OPTIONS_CONFLICT') throw error }
          Atomics.add(turns, 1, 1)
          while (Atomics.load(turns, 1) < 2 * turn) {}
          results.push(cache !== undefined)
          cache?.close()
        }
        return results
      \`
      const shared = new SharedArrayBuffer(8)
      return Promise.all(['a', 'other'].map((copy) => inWorker(body, { copy, shared })))
    `)) as [boolean[], boolean[]]
    const [a, b] = found
    expect(a).toHaveLength(300)
    expect(a.filter((opened, at) => opened && b[at])).toEqual([])
    expect(a.some((opened) => opened) || b.some((opened) => opened)).toBe(true)
  })
})

describe.skipIf(withoutRust || !compiler)('a copy of another version in the process', () => {
  it('keeps the names that it has open', async () => {
    const addon = path.join(folder, 'foreign.node')
    await run('cc', ['-shared', '-fPIC', '-o', addon, path.join(__dirname, 'programs/foreign-copy.c')])
    const found = (await inProcess(`
      process.dlopen({ exports: {} }, ${JSON.stringify(addon)})
      const { Cache } = load('a')
      const open = (name, engine) => attempt(() => new Cache({ name, engine }).engine)
      return [
        open('taken'), open('taken'), open('taken', 'js'), open('free'), attempt(() => new Cache({}).engine),
        await inWorker("return attempt(() => new (load('b').Cache)({ name: 'taken' }))"),
        // What is shared is shared, whatever else there is.
        await inWorker("return attempt(() => new (load('b').Cache)({ name: 'free' }).engine)"),
      ]
    `)) as unknown[]
    for (const at of [0, 1, 2]) both(found[at], 'taken', copies.a, '/elsewhere/sark-cache')
    expect([found[3], found[4], found[6]]).toEqual(['rust', 'rust', 'rust'])
    both(found[5], 'taken', copies.b, '/elsewhere/sark-cache')
  })
})

describe('two copies on the fallback engine', () => {
  it('of one format share a cache by its name', async () => {
    const found = await inProcess(
      `
      const a = new (load('a').Cache)({ name: 'x', max: 50 })
      const b = new (load('b').Cache)({ name: 'x' })
      a.set('k', { n: 1 }, { tags: ['t'] })
      const read = [b.get('k'), b.settings.max]
      b.invalidateTag('t')
      const gone = a.get('k') ?? null
      a.close()
      b.set('k', 2)
      const still = new (load('a').Cache)({ name: 'x' }).get('k')
      return [a.engine, ...read, gone, still]
    `,
      'js',
    )
    expect(found).toEqual(['js', { n: 1 }, 50, null, 2])
  })

  it('of two formats refuse a name that the other has open', async () => {
    const [refused, shared, after] = (await inProcess(
      `
      const a = load('a'), other = load('other')
      const x = new a.Cache({ name: 'x' })
      const refused = attempt(() => new other.Cache({ name: 'x' }))
      const shared = attempt(() => new a.Cache({ name: 'x' }).close())
      x.close()
      return [refused, shared ?? 'shared', attempt(() => new other.Cache({ name: 'x' }).engine)]
    `,
      'js',
    )) as unknown[]
    both(refused, 'x', copies.a, copies.other)
    expect([shared, after]).toEqual(['shared', 'js'])
  })
})

describe.skipIf(withoutRust)('one name on both engines', () => {
  it('is refused in one thread, whichever was first and in whichever copy', async () => {
    const found = (await inProcess(`
      const a = load('a'), b = load('b')
      const open = (copy, name, engine) => attempt(() => { const cache = new copy.Cache({ name, engine }); return cache })
      const results = []
      for (const [first, second] of [['rust', 'js'], ['js', 'rust']]) {
        for (const other of [a, b]) {
          const cache = open(a, 'x', first)
          results.push(open(other, 'x', second))
          cache.close()
          const free = open(other, 'x', second)
          results.push(free.engine === second)
          free.close()
        }
      }
      return results
    `)) as unknown[]
    for (const [at, result] of found.entries()) {
      if (at % 2 === 1) expect(result).toBe(true)
      else both(result, 'x', copies.a, at % 4 === 2 ? copies.b : copies.a)
    }
  })

  it('is refused in threads that have loaded the native engine, and free when they end', async () => {
    const found = (await inProcess(`
      const a = load('a')
      a.isRustCacheAvailable()
      const x = new a.Cache({ name: 'x' })
      const y = new a.Cache({ name: 'y', engine: 'js' })
      const inside = await inWorker(\`
        const b = load('b')
        b.isRustCacheAvailable()
        new b.Cache({ name: 'z', engine: 'js' })
        return [attempt(() => new b.Cache({ name: 'x', engine: 'js' })), attempt(() => new b.Cache({ name: 'y' })),
          attempt(() => new b.Cache({ name: 'y', engine: 'js' }).engine)]
      \`)
      return [...inside, attempt(() => new a.Cache({ name: 'z' }).engine)]
    `)) as unknown[]
    both(found[0], 'x', copies.b)
    both(found[1], 'y', copies.b)
    // Fallback engines of two threads are two caches.
    expect([found[2], found[3]]).toEqual(['js', 'rust'])
  })

  it('is watched from when the native engine is loaded on', async () => {
    const found = (await inProcess(
      `
      const y = new (load('a').Cache)({ name: 'y', engine: 'js' })
      const before = await inWorker("return new (load('a').Cache)({ name: 'y', engine: 'js' }).engine")
      load('a').isRustCacheAvailable()
      return [before, await inWorker("return attempt(() => new (load('a').Cache)({ name: 'y', engine: 'rust' }))")]
    `,
      'js',
    )) as unknown[]
    expect(found[0]).toBe('js')
    both(found[1], 'y', copies.a)
  })
})
