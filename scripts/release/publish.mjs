/**
 * Publishes a staged release: `node scripts/release/publish.mjs [folder] [--dry-run] [--provenance]
 * [--tag latest]`. The platform packages go first, so that the root package never asks for one that is not
 * there. A package that is published already is passed over, so that a run that broke off can be repeated.
 */

import { spawnSync } from 'node:child_process'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { root, run } from '../lib.mjs'
import { manifest, platforms } from './targets.mjs'
import { faultsOf } from './verify.mjs'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    'dry-run': { type: 'boolean' },
    provenance: { type: 'boolean' },
    placeholders: { type: 'boolean' },
    glibc: { type: 'string' },
    tag: { type: 'string', default: manifest.version.includes('-') ? 'next' : 'latest' },
  },
})
const stage = path.resolve(root, positionals[0] ?? 'artifacts/stage')
// Placeholders are for rehearsals: a dry run, or a registry on this machine.
const rehearsal =
  values['dry-run'] || /^http:\/\/(localhost|127\.0\.0\.1)[:/]/.test(process.env.npm_config_registry ?? '')
const faults = faultsOf(stage, {
  floor: values.glibc,
  placeholders: rehearsal && values.placeholders,
})
if (faults.length > 0) {
  for (const fault of faults) console.error(`fault: ${fault}`)
  process.exit(1)
}

function isPublished(name) {
  const { status, stdout } = spawnSync('npm', ['view', `${name}@${manifest.version}`, 'version'], {
    encoding: 'utf8',
    shell: process.platform === 'win32',
  })
  return status === 0 && stdout.trim() === manifest.version
}

const folders = [...platforms.map(({ name }) => path.join(stage, 'npm', name)), stage]
const names = [...platforms.map((platform) => platform.package), manifest.name]
for (const [at, folder] of folders.entries()) {
  if (!values['dry-run'] && isPublished(names[at])) {
    console.log(`${names[at]}@${manifest.version} is published already`)
    continue
  }
  const flags = ['--ignore-scripts', '--access', 'public', '--tag', values.tag]
  if (values['dry-run']) flags.push('--dry-run')
  if (values.provenance) flags.push('--provenance')
  run('npm', ['publish', folder, ...flags])
}
