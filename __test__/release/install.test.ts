import { copyFileSync, cpSync, existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest'
import { installAll, installWithoutBinary, type Project, packagesIn } from './helpers/project.js'
import { printedBy, runCommand, runScript } from './helpers/run.js'
import { nodes, runtimes } from './helpers/runtimes.js'

const { platform } = inject('packages')
const UNAVAILABLE = 'ERR_CACHE_ENGINE_UNAVAILABLE'

/** What {@link look} finds in a process that opens a cache. */
interface Look {
  engine: string
  available: boolean
  value: unknown
  code: string | undefined
  causes: string[]
}

/** Opens two caches and tells of the engine. */
const look = `
  const { Cache, isRustCacheAvailable, rustCacheLoadError } = require('sark-cache')
  const caches = [new Cache(), new Cache()]
  caches[0].set('k', { a: 1 })
  const error = rustCacheLoadError()
  const causes = []
  for (let cause = error?.cause; cause; cause = cause.cause) causes.push(String(cause.message))
  console.log(JSON.stringify({
    engine: caches[0].engine, available: isRustCacheAvailable(), value: caches[0].get('k'), code: error?.code, causes,
  }))`

const strict = `
  const { Cache } = require('sark-cache')
  try { new Cache() } catch (error) { console.log(error.code, '|', error.cause?.message) }`

describe('an installed package', () => {
  let project: Project
  beforeAll(async () => {
    project = await installAll()
  })
  afterAll(() => project.remove())

  it('was installed with no script and nothing but its parts', () => {
    const names = packagesIn(path.join(project.folder, 'node_modules'))
    expect(names.toSorted()).toEqual(['heap-js', 'lru-cache', 'sark-cache', platform.package].toSorted())
    const lock = JSON.parse(
      readFileSync(path.join(project.folder, 'node_modules/.package-lock.json'), 'utf8'),
    )
    for (const found of Object.values(lock.packages) as { hasInstallScript?: boolean }[]) {
      expect(found.hasInstallScript).toBeUndefined()
    }
  })

  it.each(runtimes)('does all it should on $name', async (runtime) => {
    const ended = await runScript(runtime, ['smoke.mjs', 'rust'], { cwd: project.folder })
    expect(JSON.parse(printedBy(ended))).toEqual({ ok: true, engine: 'rust', causes: [] })
    expect(ended.err).not.toContain('SarkCacheWarning')
  })

  it.each(runtimes)('sees the changes of other threads in optimized loops on $name', async (runtime) => {
    const ended = await runScript(runtime, ['reading.mjs'], { cwd: project.folder })
    expect(printedBy(ended)).toContain('every loop saw the change')
  })

  it.each(runtimes)('does all it should on $name where the fallback is asked for', async (runtime) => {
    const env = { SARK_CACHE_ENGINE: 'js' }
    const ended = await runScript(runtime, ['smoke.mjs', 'js'], { cwd: project.folder, env })
    expect(JSON.parse(printedBy(ended))).toMatchObject({ ok: true, engine: 'js' })
    expect(ended.err).not.toContain('SarkCacheWarning')
  })

  it('has types that a strict project takes', async () => {
    const flags = ['--noEmit', '--strict', '--target', 'es2022', '--lib', 'es2023,esnext.disposable']
    const tsc = path.join(__dirname, '../../node_modules/typescript/bin/tsc')
    cpSync(
      path.join(__dirname, '../../node_modules/@types/node'),
      path.join(project.folder, 'node_modules/@types/node'),
      { recursive: true },
    )
    cpSync(
      path.join(__dirname, '../../node_modules/undici-types'),
      path.join(project.folder, 'node_modules/undici-types'),
      { recursive: true },
    )
    // Whoever observes by OpenTelemetry has its types.
    cpSync(
      path.join(__dirname, '../../node_modules/@opentelemetry/api'),
      path.join(project.folder, 'node_modules/@opentelemetry/api'),
      { recursive: true },
    )
    const files = ['typed.mts', 'typed.cts']
    for (const file of files)
      copyFileSync(path.join(__dirname, 'programs/typed.ts'), path.join(project.folder, file))
    rmSync(path.join(project.folder, 'typed.ts'))
    for (const module of ['node20', 'nodenext']) {
      const options = ['--module', module, '--types', 'node', '--skipLibCheck', 'false']
      printedBy(
        await runCommand(process.execPath, [tsc, ...flags, ...options, ...files], { cwd: project.folder }),
      )
    }
  })
})

describe('a package without its binary', () => {
  let project: Project
  beforeAll(async () => {
    project = await installWithoutBinary()
  })
  afterAll(() => project.remove())

  it.each(runtimes)('does all but share on $name', async (runtime) => {
    const env = { SARK_SMOKE_BROKEN: '1' }
    const ended = await runScript(runtime, ['smoke.mjs', 'js'], { cwd: project.folder, env })
    expect(JSON.parse(printedBy(ended))).toMatchObject({ ok: true, engine: 'js', code: UNAVAILABLE })
  })

  it.each(runtimes)('warns once and names its reasons on $name', async (runtime) => {
    writeFileSync(path.join(project.folder, 'look.cjs'), look)
    const ended = await runScript(runtime, ['look.cjs'], { cwd: project.folder })
    const found: Look = JSON.parse(printedBy(ended))
    expect(found).toMatchObject({ engine: 'js', available: false, value: { a: 1 }, code: UNAVAILABLE })
    // The loader's own words, and below them what it tried.
    expect(found.causes.length).toBeGreaterThan(1)
    expect(found.causes.join('\n')).toContain(platform.package)
    expect(ended.err.match(/SARK_CACHE_FALLBACK/g)).toHaveLength(1)
  })

  it.each(runtimes)('takes a binary that is named to it on $name', async (runtime) => {
    writeFileSync(path.join(project.folder, 'look.cjs'), look)
    const env = { NAPI_RS_NATIVE_LIBRARY_PATH: path.join(__dirname, '../../native', platform.binary) }
    const ended = await runScript(runtime, ['look.cjs'], { cwd: project.folder, env })
    expect(JSON.parse(printedBy(ended))).toMatchObject({ engine: 'rust', available: true, value: { a: 1 } })
  })

  it.each(runtimes)('fails on $name where the native engine is asked for', async (runtime) => {
    writeFileSync(path.join(project.folder, 'strict.cjs'), strict)
    const env = { SARK_CACHE_ENGINE: 'rust' }
    const ended = await runScript(runtime, ['strict.cjs'], { cwd: project.folder, env })
    expect(printedBy(ended)).toMatch(new RegExp(`^${UNAVAILABLE} \\| \\S`))
    expect(ended.err).not.toContain('SarkCacheWarning')
  })
})

describe('a package with a binary that is', () => {
  let project: Project
  let binary: string
  beforeEach(async () => {
    project = await installAll()
    binary = path.join(project.folder, 'node_modules', platform.package, platform.binary)
    writeFileSync(path.join(project.folder, 'look.cjs'), look)
    writeFileSync(path.join(project.folder, 'strict.cjs'), strict)
  })
  afterEach(() => project.remove())

  /** What every Node says, and every other runtime. */
  async function expectFallback(reason: RegExp): Promise<void> {
    for (const runtime of runtimes) {
      const ended = await runScript(runtime, ['look.cjs'], { cwd: project.folder })
      const found: Look = JSON.parse(printedBy(ended))
      expect(found, runtime.name).toMatchObject({
        engine: 'js',
        available: false,
        value: { a: 1 },
        code: UNAVAILABLE,
      })
      expect(found.causes.join('\n'), runtime.name).toMatch(reason)
      expect(ended.err.match(/SARK_CACHE_FALLBACK/g), runtime.name).toHaveLength(1)
      const env = { SARK_CACHE_ENGINE: 'rust' }
      const refused = await runScript(runtime, ['strict.cjs'], { cwd: project.folder, env })
      expect(printedBy(refused), runtime.name).toContain(UNAVAILABLE)
    }
  }

  it.runIf(process.platform === 'linux')('cut short falls back', async () => {
    const whole = readFileSync(binary)
    for (const part of [0.999 * whole.length - 2_000, whole.length / 2, 4_096, 0]) {
      writeFileSync(binary, whole.subarray(0, part))
      await expectFallback(/is cut short: it has \d+ of at least \d+ bytes/)
    }
  })

  it('no binary at all falls back', async () => {
    writeFileSync(binary, readFileSync(path.join(__dirname, 'install.test.ts')))
    await expectFallback(/./)
  })

  it.runIf(process.platform === 'linux')('of another ABI falls back', async () => {
    const source = path.join(__dirname, 'programs/other-abi.c')
    printedBy(await runCommand('cc', ['-shared', '-fPIC', '-o', binary, source], { cwd: project.folder }))
    expect(statSync(binary).size).toBeGreaterThan(0)
    await expectFallback(/ABI \d+ is needed, and .* has 4000000000/)
  })

  it('of another version of the package is told by its ABI alone, and works', async () => {
    const file = path.join(project.folder, 'node_modules', platform.package, 'package.json')
    writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, 'utf8')), version: '0.0.1' }))
    for (const runtime of nodes) {
      const found: Look = JSON.parse(
        printedBy(await runScript(runtime, ['look.cjs'], { cwd: project.folder })),
      )
      expect(found.engine).toBe('rust')
    }
    expect(existsSync(binary)).toBe(true)
  })
})
