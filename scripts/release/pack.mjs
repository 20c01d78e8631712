/**
 * Packs what an installation on one platform gets, from a staged release and the dependencies of this
 * checkout: `node scripts/release/pack.mjs FOLDER PLATFORM [STAGE]`. Prints the tarballs by the names of their
 * packages, as JSON.
 */

import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { npmCommand, root } from '../lib.mjs'
import { manifest, platforms } from './targets.mjs'

const [folder, name, stage = 'artifacts/stage'] = process.argv.slice(2)
const platform = platforms.find((one) => one.name === name)
if (folder === undefined || platform === undefined) throw new Error(`no platform is named ${name}`)

const to = path.resolve(root, folder)
rmSync(to, { recursive: true, force: true })
mkdirSync(to, { recursive: true })

const sources = {
  [manifest.name]: path.resolve(root, stage),
  [platform.package]: path.resolve(root, stage, 'npm', platform.name),
}
// npm 10 runs the `prepare` of a folder that it packs, whatever `--ignore-scripts` says.
const copies = mkdtempSync(path.join(tmpdir(), 'sark-cache-pack-'))
process.on('exit', () => rmSync(copies, { recursive: true, force: true }))
for (const dependency of Object.keys(manifest.dependencies)) {
  const copy = path.join(copies, dependency)
  cpSync(path.join(root, 'node_modules', dependency), copy, { recursive: true })
  const file = path.join(copy, 'package.json')
  writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, 'utf8')), scripts: {} }))
  sources[dependency] = copy
}

const tarballs = {}
for (const [source, from] of Object.entries(sources)) {
  const args = ['pack', '--ignore-scripts', '--json', '--pack-destination', to, from]
  const [command, ...before] = npmCommand()
  const packed = execFileSync(command, [...before, ...args], {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const [{ filename }] = JSON.parse(packed)
  tarballs[source] = path.join(to, filename)
}
console.log(JSON.stringify(tarballs, null, 2))
