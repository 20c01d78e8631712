import { readFileSync, statSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, inject, it } from 'vitest'
import { describeBinary, isNewer } from '../../scripts/release/binary.mjs'
import { platforms } from '../../scripts/release/targets.mjs'
import { binaryFaults, faultsOf, MOST_BINARY } from '../../scripts/release/verify.mjs'
import { npm, printedBy, runCommand } from './helpers/run.js'

const root = path.join(__dirname, '../..')
const { stage, platform, tarballs } = inject('packages')
const tool = (file: string): string => path.join(root, 'tools/node_modules', file)
const binary = readFileSync(path.join(stage, 'npm', platform.name, platform.binary))
const here = platforms.find(({ name }) => name === platform.name) as (typeof platforms)[number]

function manifestOf(folder: string) {
  return JSON.parse(readFileSync(path.join(stage, folder, 'package.json'), 'utf8'))
}

/** What tar prints, from the tarball's own folder: Git's tar on Windows takes the drive of a path for a host. */
async function tar(flags: string, tarball: string, ...names: string[]): Promise<string> {
  const [cwd, file] = [path.dirname(tarball), path.basename(tarball)]
  return printedBy(await runCommand('tar', [flags, file, ...names], { cwd }))
}

async function filesOf(tarball: string): Promise<string[]> {
  return (await tar('-tzf', tarball)).trim().split('\n')
}

/** The headers of a library for Windows on x64, and the name of one that it imports. */
function windowsBinary(library: string): Buffer {
  const bytes = Buffer.alloc(4_096)
  bytes.write('MZ', 0)
  bytes.writeUInt32LE(0x80, 0x3c)
  bytes.write('PE\0\0', 0x80)
  bytes.writeUInt16LE(0x8664, 0x84)
  bytes.write(`${library}\0`, 0x400)
  return bytes
}

describe('the root package', () => {
  const tarball = tarballs['sark-cache'] as string

  it('is under 420 KB and holds its papers, its source maps, no binary and no test', async () => {
    expect(statSync(tarball).size).toBeLessThan(420_000)
    const files = await filesOf(tarball)
    expect(files).toContain('package/native/binding.js')
    expect(files).toContain('package/dist/index.js')
    expect(files).toContain('package/LICENSE')
    expect(files.filter((file) => !/^package\/(dist|native)\/.*\.(js|js\.map|d\.ts)$/.test(file))).toEqual(
      expect.arrayContaining(['package/LICENSE', 'package/README.md', 'package/package.json']),
    )
    const others = files.filter((file) => !/^package\/(dist|native|docs)\//.test(file)).toSorted()
    expect(others).toEqual(['package/LICENSE', 'package/README.md', 'package/package.json'])
    // Each map holds its source, and each program has one.
    const programs = files.filter((file) => /^package\/dist\/.*\.js$/.test(file))
    expect(programs.filter((file) => !files.includes(`${file}.map`))).toEqual([])
  })

  it.each([
    ['publint', ['publint/src/cli.js', '--strict']],
    ['attw', ['@arethetypeswrong/cli/dist/index.js', '--format', 'ascii', '--profile', 'node16']],
  ])('has nothing that %s objects to', async (_, [program = '', ...options]) => {
    const script = path.join(root, 'node_modules', program)
    printedBy(await runCommand(process.execPath, [script, tarball, ...options], { cwd: root }))
  })

  it('has papers whose links lead somewhere in it, or to the repository', async () => {
    const files = await filesOf(tarball)
    const broken: string[] = []
    for (const page of files.filter((file) => file.endsWith('.md'))) {
      const out = await tar('-xzOf', tarball, page)
      for (const [, link = ''] of out.matchAll(/\]\(([^)#]+)(?:#[^)]*)?\)/g)) {
        if (/^https:/.test(link)) continue
        if (!files.includes(path.posix.join(path.posix.dirname(page), link))) broken.push(`${page}: ${link}`)
      }
    }
    expect(broken).toEqual([])
  })

  it('asks for every platform package, and runs no script', () => {
    const { optionalDependencies, scripts, devDependencies, engines, version } = manifestOf('.')
    expect(optionalDependencies).toEqual(Object.fromEntries(platforms.map((one) => [one.package, version])))
    expect([scripts, devDependencies, engines]).toEqual([undefined, undefined, { node: '>=20' }])
  })

  it('is packed from a checkout as it is staged', async () => {
    const args = ['pack', '--ignore-scripts', '--dry-run', '--json']
    const files = async (cwd: string): Promise<string[]> => {
      const [packed] = JSON.parse(printedBy(await npm(args, { cwd })))
      return packed.files.map((file: { path: string }) => file.path).toSorted()
    }
    expect(await files(root)).toEqual(await files(stage))
  })

  it.each(Object.keys(tarballs).filter((name) => /^@?sark-cache/.test(name)))(
    '%s passes publint without a remark',
    async (name) => {
      const args = [tool('publint/src/cli.js'), 'run', tarballs[name] as string, '--strict']
      expect(printedBy(await runCommand(process.execPath, args, { cwd: root }))).toContain('All good!')
    },
  )

  it('has types that resolve however it is imported', async () => {
    // Subpaths are beyond the oldest way, of before Node.js 12.
    const args = [tool('@arethetypeswrong/cli/dist/index.js'), tarball, '--no-color', '--no-emoji']
    args.push('--entrypoints', '.')
    expect(printedBy(await runCommand(process.execPath, args, { cwd: root }))).toContain('No problems found')
  })
})

describe('a platform package', () => {
  it.each(platforms)('$name is for its system, its processor and its C library alone', (one) => {
    const { name, os, cpu, libc, main, scripts, engines, license } = manifestOf(path.join('npm', one.name))
    expect(name).toBe(`@sark-cache/${one.name}`)
    expect({ os, cpu, libc, main }).toEqual({
      os: [one.os],
      cpu: [one.cpu],
      libc: one.libc && [one.libc],
      main: one.binary,
    })
    // npm skips an optional package without a word if its engines do not fit.
    expect([scripts, engines, license]).toEqual([undefined, { node: '>=20' }, 'MIT'])
    expect(statSync(path.join(stage, 'npm', one.name, 'LICENSE')).size).toBeGreaterThan(0)
    expect(readFileSync(path.join(stage, 'npm', one.name, 'README.md'), 'utf8')).toContain(one.package)
    // A publication by hand is checked against these, too.
    const { repository, bugs, homepage } = manifestOf('.')
    expect(manifestOf(path.join('npm', one.name))).toMatchObject({ repository, bugs, homepage })
    expect([repository, bugs, homepage]).not.toContain(undefined)
  })

  it('of this machine has a stripped binary under 1 MB', () => {
    expect(binary.length).toBeLessThan(MOST_BINARY)
    expect(describeBinary(binary)).toMatchObject({ os: process.platform, cpu: process.arch, stripped: true })
  })

  it.runIf(here.libc === 'glibc')(
    'needs no newer glibc than this machine has, as its symbols say',
    async () => {
      const glibc = describeBinary(binary)?.glibc ?? 'none'
      const { header } = process.report.getReport() as unknown as { header: { glibcVersionRuntime: string } }
      expect(isNewer(glibc, header.glibcVersionRuntime)).toBe(false)
      const symbols = printedBy(
        await runCommand('objdump', ['-T', path.join(stage, 'npm', platform.name, platform.binary)], {
          cwd: root,
        }),
      )
      const versions = [...symbols.matchAll(/GLIBC_([\d.]+)/g)].map((match) => match[1] as string)
      expect(versions).toContain(glibc)
      expect(versions.filter((version) => isNewer(version, glibc))).toEqual([])
    },
  )
})

describe('the check before a release', () => {
  it('finds nothing wrong but the placeholders, and what this machine cannot build', () => {
    const others = platforms.filter(({ name }) => name !== platform.name)
    const floor = describeBinary(binary)?.glibc
    expect(faultsOf(stage, { floor }).toSorted()).toEqual(
      others.map((one) => `${one.package} is a placeholder`).toSorted(),
    )
    expect(faultsOf(stage, { floor, placeholders: true })).toEqual([])
  })

  it('finds a binary that is of another platform, too large, not stripped, or asks for a newer glibc', () => {
    const other = platforms.find(({ os, cpu }) => os !== here.os && cpu !== here.cpu) as typeof here
    expect(binaryFaults(binary, other)).toContain(`is for ${process.platform} on ${process.arch}`)
    const large = Buffer.concat([binary, Buffer.alloc(MOST_BINARY)])
    expect(binaryFaults(large, here)).toContainEqual(expect.stringContaining('more than'))
    expect(binaryFaults(Buffer.from('text'), here)).toEqual(['is no binary'])
    expect(binaryFaults(Buffer.alloc(5_000), here)).toEqual(['is no binary'])
    const windows = platforms.find(({ name }) => name === 'win32-x64-msvc') as typeof here
    expect(binaryFaults(windowsBinary('KERNEL32.dll'), windows)).toEqual([])
    const faults = binaryFaults(windowsBinary('VCRUNTIME140.dll'), windows)
    expect(faults).toEqual(['needs VCRUNTIME140.dll, which Windows does not have'])
    const node = readFileSync(process.execPath)
    expect(binaryFaults(node, here)).toContainEqual(expect.stringContaining('more than'))
    if (here.libc === 'glibc') {
      expect(binaryFaults(binary, here, '2.2.4')).toContainEqual(
        expect.stringMatching(/needs glibc .* newer than 2.2.4/),
      )
      const musl = platforms.find(({ libc, cpu }) => libc === 'musl' && cpu === here.cpu) as typeof here
      expect(binaryFaults(binary, musl)).toContain('needs glibc')
    }
  })
})
