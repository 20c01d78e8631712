/**
 * Installs and uses the package for musl under Alpine's C library, in a root folder of its own:
 * `node scripts/release/musl.mjs NODE LOADER [LIBRARIES]`, with a Node.js that was built for musl, the loader of
 * musl 1.2.4 or later, and a folder of what that Node.js needs. The binary is that of `artifacts/rehearsal`.
 * Needs the right to change the root folder.
 */

import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { npmCommand, root, run } from '../lib.mjs'

const [node = '', loader = '', libraries = ''] = process.argv.slice(2)
const folder = mkdtempSync(path.join(tmpdir(), 'sark-cache-musl-'))
try {
  const stage = path.join(folder, 'stage')
  const binaries = path.join(root, 'artifacts/rehearsal/native-x86_64-unknown-linux-musl')
  run(process.execPath, ['scripts/release/stage.mjs', stage, '--placeholders', '--binaries', binaries])
  const packed = execFileSync(
    process.execPath,
    ['scripts/release/pack.mjs', path.join(folder, 'packs'), 'linux-x64-musl', stage],
    { cwd: root, encoding: 'utf8' },
  )

  const place = path.join(folder, 'root')
  const project = path.join(place, 'project')
  for (const name of ['lib', 'tmp', 'bin', 'project']) mkdirSync(path.join(place, name), { recursive: true })
  cpSync(node, path.join(place, 'bin/node'))
  cpSync(loader, path.join(place, 'lib/ld-musl-x86_64.so.1'), { dereference: true })
  symlinkSync('ld-musl-x86_64.so.1', path.join(place, 'lib/libc.musl-x86_64.so.1'))
  for (const name of libraries === '' ? [] : readdirSync(libraries)) {
    cpSync(path.join(libraries, name), path.join(place, 'lib', name))
  }
  cpSync(path.join(root, '__test__/release/programs'), project, { recursive: true })
  writeFileSync(path.join(project, 'package.json'), JSON.stringify({ private: true }))
  const [npm, ...before] = npmCommand()
  // npm itself runs where glibc is, and refuses a package by name that is not for that.
  const flags = ['--offline', '--ignore-scripts', '--no-audit', '--no-fund', '--force']
  run(npm, [...before, 'install', ...flags, ...Object.values(JSON.parse(packed))], { cwd: project })

  const ended = spawnSync('chroot', [place, '/bin/node', '/project/smoke.mjs', 'rust'], {
    encoding: 'utf8',
    env: { PATH: process.env.PATH },
  })
  console.log(ended.stdout ?? '', ended.stderr ?? ended.error)
  const { header } = JSON.parse(
    execFileSync('chroot', [place, '/bin/node', '-p', 'JSON.stringify(process.report.getReport())'], {
      encoding: 'utf8',
    }),
  )
  console.log(`Node.js ${header.nodejsVersion}, glibc ${header.glibcVersionRuntime ?? 'none'}`)
  if (ended.status !== 0 || header.glibcVersionRuntime !== undefined) process.exitCode = 1
} finally {
  rmSync(folder, { recursive: true, force: true })
}
