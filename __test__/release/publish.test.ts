import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { manifest, platforms } from '../../scripts/release/targets.mjs'
import { packagesIn } from './helpers/project.js'
import { type Registry, startRegistry } from './helpers/registry.js'
import { npm, printedBy, runCommand } from './helpers/run.js'

const root = path.join(__dirname, '../..')
const { stage, platform, tarballs } = inject('packages')

describe('a release, to a registry on this machine', () => {
  let folder: string
  let registry: Registry
  let env: Record<string, string>
  beforeAll(async () => {
    folder = mkdtempSync(path.join(tmpdir(), 'sark-cache-'))
    registry = await startRegistry()
    const userconfig = path.join(folder, '.npmrc')
    writeFileSync(userconfig, `${registry.url.replace('http:', '')}:_authToken=none\n`)
    env = {
      npm_config_registry: registry.url,
      npm_config_userconfig: userconfig,
      npm_config_cache: path.join(folder, '.npm'),
    }
    for (const dependency of Object.keys(manifest.dependencies)) {
      printedBy(
        await npm(['publish', '--ignore-scripts', tarballs[dependency] as string], { cwd: folder, env }),
      )
    }
  })
  afterAll(async () => {
    await registry[Symbol.asyncDispose]()
    rmSync(folder, { recursive: true })
  })

  const publish = (...flags: string[]) =>
    runCommand(process.execPath, ['scripts/release/publish.mjs', stage, ...flags], { cwd: root, env })

  /** A release of this machine's binary, as it would be with every binary there. */
  const all = ['--placeholders', '--glibc', '99']

  it('does not happen with a placeholder in it, or in a dry run', async () => {
    const before = registry.published.length
    const refused = await publish('--glibc', '99')
    expect(refused.code).toBe(1)
    expect(refused.err.match(/is a placeholder/g)).toHaveLength(platforms.length - 1)
    printedBy(await publish(...all, '--dry-run'))
    expect(registry.published.length).toBe(before)
  })

  it('publishes every platform before the root, and goes on where it broke off', async () => {
    const before = registry.published.length
    printedBy(await publish(...all))
    expect(registry.published.slice(before)).toEqual([...platforms.map((one) => one.package), manifest.name])
    expect(printedBy(await publish(...all)).match(/is published already/g)).toHaveLength(platforms.length + 1)
    expect(registry.published.length).toBe(before + platforms.length + 1)
  })

  it('can be rehearsed where the version is published already', async () => {
    const before = registry.published.length
    const said = printedBy(await publish(...all, '--dry-run'))
    expect(said.match(/is published already/g)).toHaveLength(platforms.length + 1)
    expect(registry.published.length).toBe(before)
  })

  it('does not publish the root while the registry withholds a platform', async () => {
    const strict = await startRegistry((name) => name.includes('win32'))
    await using _ = strict
    const userconfig = path.join(folder, '.npmrc-strict')
    writeFileSync(userconfig, `${strict.url.replace('http:', '')}:_authToken=none\n`)
    const ended = await runCommand(
      process.execPath,
      ['scripts/release/publish.mjs', stage, ...all, '--patience', '0'],
      {
        cwd: root,
        env: {
          ...env,
          npm_config_registry: strict.url,
          npm_config_userconfig: userconfig,
          npm_config_cache: path.join(folder, '.npm-strict'),
        },
      },
    )
    expect(ended.code).toBe(1)
    expect(ended.err).toContain('@sark-cache/win32-x64-msvc')
    expect(strict.published).toEqual(platforms.map((one) => one.package))
  })

  /** Installs the package as a user does, and lists what came. */
  async function installed(name: string, ...flags: string[]): Promise<string[]> {
    const cwd = mkdtempSync(path.join(folder, name))
    writeFileSync(path.join(cwd, 'package.json'), JSON.stringify({ private: true }))
    printedBy(await npm(['install', '--no-audit', '--no-fund', ...flags, manifest.name], { cwd, env }))
    const names = () => packagesIn(path.join(cwd, 'node_modules'))
    const first = names()
    rmSync(path.join(cwd, 'node_modules'), { recursive: true })
    printedBy(await npm(['ci', '--no-audit', '--no-fund', ...flags], { cwd, env }))
    const [major] = printedBy(await npm(['--version'], { cwd, env })).split('.')
    // The lock of npm before 11 does not note C libraries, and what is for the other one comes along.
    const isOfOther = (one: string) => Number(major) < 11 && /-(musl|gnu)\w*$/.test(one)
    expect(names()).toEqual(expect.arrayContaining(first))
    expect(names().filter((one) => !first.includes(one) && !isOfOther(one))).toEqual([])
    return first
  }

  const base = [manifest.name, ...Object.keys(manifest.dependencies)]

  it('gives this machine its own platform package and no other', async () => {
    expect((await installed('here')).toSorted()).toEqual([...base, platform.package].toSorted())
  })

  it.each(platforms)('gives $name its own platform package and no other', async (one) => {
    const flags = [`--os=${one.os}`, `--cpu=${one.cpu}`, ...(one.libc ? [`--libc=${one.libc}`] : [])]
    expect((await installed(one.name, ...flags)).toSorted()).toEqual([...base, one.package].toSorted())
  })

  it('gives a machine of no platform the fallback engine', async () => {
    const names = await installed('none', '--os=aix', '--cpu=ppc64')
    expect(names.toSorted()).toEqual(base.toSorted())
  })

  it('leaves the checkout as it was, installable without what is not published', () => {
    const { optionalDependencies } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'))
    expect(optionalDependencies).toBeUndefined()
    expect(existsSync(path.join(root, 'npm'))).toBe(false)
  })
})
