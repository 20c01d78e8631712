import { execFile } from 'node:child_process'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { ENTRY_OVERHEAD } from '../../src/engine/limits.js'
import { load } from '../../src/engine/native/load.js'
import { Cache, isRustCacheAvailable, rustCacheLoadError } from '../../src/index.js'
import { thrown, withoutRust } from '../support/engines.js'

const run = promisify(execFile)
const root = path.join(__dirname, '../..')

describe('the choice of the engine', () => {
  afterEach(() => vi.unstubAllEnvs())

  it('follows SARK_CACHE_ENGINE, and the option before it', () => {
    vi.stubEnv('SARK_CACHE_ENGINE', 'js')
    using js = new Cache()
    expect(js.engine).toBe('js')
    vi.stubEnv('SARK_CACHE_ENGINE', '')
    using preferred = new Cache()
    expect(preferred.engine).toBe(isRustCacheAvailable() ? 'rust' : 'js')
    vi.stubEnv('SARK_CACHE_ENGINE', 'rust')
    using option = new Cache({ engine: 'js' })
    expect(option.engine).toBe('js')
    vi.stubEnv('SARK_CACHE_ENGINE', 'go')
    expect(thrown(() => new Cache())).toMatchObject({ code: 'ERR_OUT_OF_RANGE' })
  })

  it('is told on a channel', () => {
    const told: unknown[] = []
    const listen = (message: unknown) => told.push(message)
    subscribe('sark-cache:open', listen)
    new Cache({ engine: 'js', name: 'told', max: 5 }).close()
    unsubscribe('sark-cache:open', listen)
    expect(told).toEqual([
      {
        name: 'told',
        engine: 'js',
        max: 5,
        maxSize: Infinity,
        maxEntrySize: Infinity,
        ttl: Infinity,
        policy: 'lru',
        updateAgeOnGet: false,
      },
    ])
  })

  it('says whether and why not', () => {
    expect(isRustCacheAvailable()).toBe(rustCacheLoadError() === undefined)
  })
})

describe('a binary', () => {
  let folder: string
  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'sark-cache-'))
  })
  afterEach(() => rmSync(folder, { recursive: true }))

  it('that is not there, or is none, is refused with the reason', () => {
    const missing = load(path.join(folder, 'missing.js'))
    expect(missing.error).toMatchObject({
      code: 'ERR_CACHE_ENGINE_UNAVAILABLE',
      cause: { code: 'MODULE_NOT_FOUND' },
    })
    writeFileSync(path.join(folder, 'cut.node'), 'no binary')
    expect(load(path.join(folder, 'cut.node')).error?.cause).toBeInstanceOf(Error)
  })

  it('of another build is refused with both numbers', () => {
    for (const [source, found] of [
      ['exports.abi = () => 99', 'has 99'],
      ['exports.get = () => 1', 'has none'],
    ] as const) {
      const file = path.join(folder, `abi-${found.slice(-2)}.js`)
      writeFileSync(file, source)
      const { error } = load(file)
      expect(error).toMatchObject({ code: 'ERR_CACHE_ENGINE_UNAVAILABLE' })
      expect(error?.cause).toMatchObject({ message: expect.stringContaining(found) })
    }
  })

  it.skipIf(withoutRust || process.platform !== 'linux')(
    'that is cut short, wherever, is refused and does not end the process',
    async () => {
      const binary = rustBinary()
      const whole = readFileSync(binary)
      const cuts = [0, 3, 40, 64, 200, 700, 4_096, ...Array.from({ length: 12 }, (_, n) => whole.length >> n)]
      const files = cuts.map((cut, n) => {
        const file = path.join(folder, `cut-${n}.node`)
        writeFileSync(file, whole.subarray(0, Math.max(0, cut - 1)))
        return file
      })
      // In a process of its own: what is tested is that it lives.
      const { stdout } = await run(process.execPath, [
        '-e',
        `const { load } = require(${JSON.stringify(path.join(root, 'dist/engine/native/load.js'))})
         const told = ${JSON.stringify(files)}.map((file) => load(file).error?.cause?.message ?? 'loaded')
         console.log(JSON.stringify(told))`,
      ])
      const told: string[] = JSON.parse(stdout)
      // Without its last byte it only lacks what is not mapped.
      expect(told.filter((message) => message === 'loaded').length).toBeLessThanOrEqual(1)
      expect(told.filter((message) => message.includes('is cut short')).length).toBeGreaterThan(10)
    },
  )

  it.skipIf(withoutRust)('of this build charges what the fallback charges', () => {
    expect(load(path.join(root, 'native/binding.js')).binding?.entryOverhead()).toBe(ENTRY_OVERHEAD)
  })

  function rustBinary(): string {
    const native = path.join(root, 'native')
    const name = readdirSync(native).find((file) => file.endsWith('.node')) as string
    return path.join(native, name)
  }

  /** Runs `script` in a copy of the package that has this `native/binding.js`, or none. */
  async function inCopy(binding: string | undefined, script: string, env: Record<string, string> = {}) {
    cpSync(path.join(root, 'dist'), path.join(folder, 'dist'), { recursive: true })
    cpSync(path.join(root, 'node_modules/lru-cache'), path.join(folder, 'node_modules/lru-cache'), {
      recursive: true,
    })
    cpSync(path.join(root, 'node_modules/heap-js'), path.join(folder, 'node_modules/heap-js'), {
      recursive: true,
    })
    if (binding !== undefined) {
      mkdirSync(path.join(folder, 'native'))
      writeFileSync(path.join(folder, 'native/binding.js'), binding)
    }
    writeFileSync(path.join(folder, 'script.js'), script)
    return run(process.execPath, [path.join(folder, 'script.js')], {
      env: { PATH: process.env.PATH, ...env },
      timeout: 20_000,
    })
  }

  it('that is missing leaves the same API, with one warning and the reasons', async () => {
    const { stdout, stderr } = await inCopy(
      undefined,
      `const { Worker, isMainThread } = require('node:worker_threads')
       const { Cache, isRustCacheAvailable, rustCacheLoadError, RustCache } = require('./dist')
       const caches = [new Cache({ max: 2 }), new Cache()]
       if (!isMainThread) return
       new Worker(__filename)
       caches[0].set('k', { a: 1 })
       let code
       try { new RustCache() } catch (error) { code = error.code }
       console.log(JSON.stringify([caches[0].get('k'), caches[0].engine, isRustCacheAvailable(), rustCacheLoadError().code, rustCacheLoadError().cause.code, code]))`,
    )
    const unavailable = 'ERR_CACHE_ENGINE_UNAVAILABLE'
    expect(JSON.parse(stdout)).toEqual([{ a: 1 }, 'js', false, unavailable, 'MODULE_NOT_FOUND', unavailable])
    expect(stderr.match(/SarkCacheWarning/g)).toHaveLength(1)
    expect(stderr).toContain('SARK_CACHE_FALLBACK')
  })

  it('that is missing is an error, with its causes, where it is asked for', async () => {
    const script = `try { new (require('./dist').Cache)() } catch (error) { console.log(error.code, error.cause.message) }`
    const { stdout, stderr } = await inCopy(`throw new Error('the wrong GLIBC')`, script, {
      SARK_CACHE_ENGINE: 'rust',
    })
    expect(stdout.trim()).toBe('ERR_CACHE_ENGINE_UNAVAILABLE the wrong GLIBC')
    expect(stderr).toBe('')
  })

  it('that is missing is no reason to warn where the fallback is asked for', async () => {
    const script = `console.log(new (require('./dist').Cache)().engine)`
    const { stdout, stderr } = await inCopy(undefined, script, { SARK_CACHE_ENGINE: 'js' })
    expect([stdout.trim(), stderr]).toEqual(['js', ''])
  })
})
