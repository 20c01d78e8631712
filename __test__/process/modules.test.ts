import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const run = promisify(execFile)
const root = path.join(__dirname, '../..')

/** A project that has the package installed. */
let project: string

beforeAll(() => {
  project = mkdtempSync(path.join(tmpdir(), 'sark-cache-'))
  mkdirSync(path.join(project, 'node_modules'))
  symlinkSync(root, path.join(project, 'node_modules/sark-cache'))
  symlinkSync(path.join(root, 'node_modules/@types'), path.join(project, 'node_modules/@types'))
})

afterAll(() => rmSync(project, { recursive: true }))

async function node(file: string, source: string): Promise<unknown> {
  writeFileSync(path.join(project, file), source)
  const { stdout } = await run(process.execPath, [path.join(project, file)])
  return JSON.parse(stdout)
}

describe('the package', () => {
  it('loads with import', async () => {
    const source = `import { Cache, PolicyCache, CleanupTask, RustCache, CacheError, isRustCacheAvailable, rustCacheLoadError } from 'sark-cache'
      const cache = new Cache()
      cache.set('k', [1])
      console.log(JSON.stringify([cache.get('k'), typeof PolicyCache, typeof CleanupTask, typeof RustCache, typeof CacheError, typeof isRustCacheAvailable(), typeof rustCacheLoadError]))`
    expect(await node('import.mjs', source)).toEqual([
      [1],
      ...Array(4).fill('function'),
      'boolean',
      'function',
    ])
  })

  it('loads with require', async () => {
    const source = `const { Cache } = require('sark-cache')
      const cache = new Cache()
      cache.set('k', [1])
      console.log(JSON.stringify([cache.get('k'), require('sark-cache/package.json').name]))`
    expect(await node('require.cjs', source)).toEqual([[1], 'sark-cache'])
  })

  it('has one state, whichever way it is loaded', async () => {
    const source = `import { createRequire } from 'node:module'
      import * as imported from 'sark-cache'
      const required = createRequire(import.meta.url)('sark-cache')
      const results = []
      for (const engine of imported.isRustCacheAvailable() ? ['rust', 'js'] : ['js']) {
        const name = 'shared ' + engine
        new imported.Cache({ name, engine, max: 5 }).set('k', 1)
        results.push(new required.Cache({ name, engine }).get('k'))
      }
      const names = (module) => Object.keys(module).filter((name) => name !== 'default' && name !== 'module.exports' && name !== '__esModule').sort()
      console.log(JSON.stringify([new Set(results).size === 1 && results[0], imported.Cache === required.Cache, names(imported).join() === names(required).join()]))`
    expect(await node('both.mjs', source)).toEqual([1, true, true])
  })

  const consumer = `
    const cache = new Cache<{ allowed: boolean }>({ name: 'typed', max: 10, ttl: 1_000 })
    const stored: boolean = cache.set('k', { allowed: true }, { ttl: 5, tags: ['t'] })
    const hit: { allowed: boolean } | undefined = cache.get('k')
    const loaded: Promise<{ allowed: boolean }> = cache.getOrSet('k', async ({ signal }) => ({ allowed: signal.aborted }))
    const wrapped: (id: number) => Promise<{ allowed: boolean }> = cache.wrap(
      async (id: number) => ({ allowed: id > 0 }), { key: (id) => String(id) })
    const decisions = new PolicyCache({ evaluate: async (query) => ({ allowed: query.user === 'a', why: 'owner' }) })
    const why: Promise<string> = decisions.decide({ user: 'a', action: 'b', resource: 'c' }).then((decision) => decision.why)
    const options: CacheOptions = { engine: 'js' }
    // @ts-expect-error: a TTL is a number
    cache.set('k', { allowed: true }, '5')
    // @ts-expect-error: not the value's type
    cache.set('k', { allowed: 5 })
    // @ts-expect-error: not for users
    cache.loader
    using disposed = new Cache(options)
    export { disposed, hit, loaded, stored, why, wrapped }
  `

  it.each([
    ['esm.mts', `import { Cache, type CacheOptions, PolicyCache } from 'sark-cache'`],
    ['cjs.cts', `import { Cache, type CacheOptions, PolicyCache } from 'sark-cache'`],
    [
      'require.cts',
      `import sark = require('sark-cache')\nimport Cache = sark.Cache\nimport PolicyCache = sark.PolicyCache\ntype CacheOptions = sark.CacheOptions`,
    ],
  ])('has types for %s', async (file, head) => {
    writeFileSync(path.join(project, file), `${head}\n${consumer}`)
    const flags = [
      '--noEmit',
      '--strict',
      '--module',
      'nodenext',
      '--target',
      'es2022',
      '--lib',
      'es2023,esnext.disposable',
      '--types',
      'node',
      '--skipLibCheck',
      'false',
    ]
    const tsc = path.join(root, 'node_modules/typescript/bin/tsc')
    await run(process.execPath, [tsc, ...flags, file], { cwd: project }).catch(({ stdout }) =>
      expect(stdout).toBe(''),
    )
  })
})
