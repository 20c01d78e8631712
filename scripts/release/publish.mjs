/**
 * Publishes a staged release: `node scripts/release/publish.mjs [folder] [--dry-run] [--provenance]
 * [--tag latest] [--patience 300]`. The platform packages go first, and the root only when the registry hands
 * out all of them, within that many seconds, so that it never asks for one that is not there. A package that is published already is passed over, so that a run that broke off can be repeated.
 */

import { spawnSync } from 'node:child_process'
import path from 'node:path'
import { setTimeout } from 'node:timers/promises'
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
    patience: { type: 'string', default: '300' },
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
  const { status, stdout } = spawnSync(
    'npm',
    ['view', `${name}@${manifest.version}`, 'version', '--prefer-online'],
    { encoding: 'utf8', shell: process.platform === 'win32' },
  )
  return status === 0 && stdout.trim() === manifest.version
}

function publish(name, folder) {
  if (isPublished(name)) {
    console.log(`${name}@${manifest.version} is published already`)
    // npm refuses to rehearse what it would not publish; what is packed can be seen all the same.
    if (values['dry-run']) run('npm', ['pack', folder, '--ignore-scripts', '--dry-run'])
    return
  }
  const flags = ['--ignore-scripts', '--access', 'public', '--tag', values.tag]
  if (values['dry-run']) flags.push('--dry-run')
  if (values.provenance) flags.push('--provenance')
  run('npm', ['publish', folder, ...flags])
}

/** Waits until the registry hands out every platform package: some it takes, and withholds or hands out later. */
async function resolveAll() {
  const until = Date.now() + 1_000 * Number(values.patience)
  let missing = platforms.map((platform) => platform.package)
  for (;;) {
    missing = missing.filter((name) => !isPublished(name))
    if (missing.length === 0) return
    if (Date.now() >= until) break
    console.log(`waiting for ${missing.join(', ')}`)
    await setTimeout(10_000)
  }
  for (const name of missing)
    console.error(`fault: the registry does not hand out ${name}@${manifest.version}`)
  console.error(`${manifest.name} is not published: it would install without them`)
  process.exit(1)
}

for (const platform of platforms) publish(platform.package, path.join(stage, 'npm', platform.name))
if (!values['dry-run']) await resolveAll()
publish(manifest.name, stage)
