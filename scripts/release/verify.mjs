/**
 * Says what is wrong with a staged release: `node scripts/release/verify.mjs [folder] [--glibc 2.17]
 * [--placeholders]`. With `--placeholders`, binaries that are not there are reported and allowed.
 */

import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { root } from '../lib.mjs'
import { describeBinary, isNewer } from './binary.mjs'
import { PLACEHOLDER } from './stage.mjs'
import { manifest, platforms } from './targets.mjs'

/** Bytes that a binary may have. */
export const MOST_BINARY = 1_000_000

/** The glibc that every glibc binary must do with. */
export const GLIBC_FLOOR = '2.17'

/** What is wrong with a binary, if anything. */
export function binaryFaults(bytes, platform, floor = GLIBC_FLOOR) {
  const found = describeBinary(bytes)
  if (found === undefined) return ['is no binary']
  const faults = []
  if (found.os !== platform.os || found.cpu !== platform.cpu) {
    faults.push(`is for ${found.os} on ${found.cpu}`)
  }
  if (!found.stripped) faults.push('is not stripped')
  if (bytes.length > MOST_BINARY) faults.push(`has ${bytes.length} bytes, more than ${MOST_BINARY}`)
  const runtime = found.libraries?.find((name) => /^(vcruntime|msvcp)\d/i.test(name))
  if (runtime !== undefined) faults.push(`needs ${runtime}, which Windows does not have`)
  if (platform.libc === 'musl' && found.glibc !== undefined) faults.push('needs glibc')
  if (platform.libc === 'glibc' && found.glibc === undefined) faults.push('names no version of glibc')
  if (platform.libc === 'glibc' && found.glibc && isNewer(found.glibc, floor)) {
    faults.push(`needs glibc ${found.glibc}, newer than ${floor}`)
  }
  return faults
}

/**
 * What is wrong with a staged platform package.
 *
 * @param {string} folder
 * @param {import('./targets.mjs').Platform} platform
 * @param {{ floor?: string | undefined, placeholders?: boolean | undefined }} options
 */
function packageFaults(folder, platform, { floor, placeholders }) {
  const file = path.join(folder, platform.binary)
  if (!existsSync(file)) return ['has no binary']
  const { name, version, os, cpu, libc, main, engines, scripts } = read(path.join(folder, 'package.json'))
  const faults = []
  if (name !== platform.package || version !== manifest.version) faults.push(`is named ${name}@${version}`)
  const fits =
    JSON.stringify([os, cpu, libc?.[0]]) === JSON.stringify([[platform.os], [platform.cpu], platform.libc])
  if (!fits) faults.push(`is for ${[os, cpu, libc]}`)
  if (main !== platform.binary) faults.push(`has ${main} as main`)
  if (engines?.node !== manifest.engines.node) faults.push('has other engines')
  if (scripts !== undefined) faults.push('has scripts')
  const bytes = readFileSync(file)
  if (bytes.equals(Buffer.from(PLACEHOLDER))) return placeholders ? faults : [...faults, 'is a placeholder']
  return [...faults, ...binaryFaults(bytes, platform, floor)]
}

/** What is wrong with the staged root package. */
function rootFaults(stage) {
  const { optionalDependencies = {}, scripts, files, version } = read(path.join(stage, 'package.json'))
  const faults = []
  if (scripts !== undefined) faults.push('has scripts')
  const asked = Object.entries(optionalDependencies).map((entry) => entry.join('@'))
  const due = platforms.map((platform) => `${platform.package}@${version}`)
  if (asked.toSorted().join() !== due.toSorted().join()) faults.push(`asks for ${asked}`)
  for (const place of files) {
    // Of a pattern, the folder.
    if (!existsSync(path.join(stage, place.replace(/\/\*.*/, '')))) faults.push(`lacks ${place}`)
  }
  const built = readdirSync(path.join(stage, 'dist'), { encoding: 'utf8', recursive: true })
  const unmapped = built.filter((name) => name.endsWith('.js') && !built.includes(`${name}.map`))
  if (unmapped.length > 0) faults.push(`has no source map of ${unmapped}`)
  return faults
}

function read(file) {
  return JSON.parse(readFileSync(file, 'utf8'))
}

/**
 * Everything that is wrong with a staged release, a line each.
 *
 * @param {string} stage
 * @param {{ floor?: string | undefined, placeholders?: boolean | undefined }} options
 */
export function faultsOf(stage, options = {}) {
  const lines = rootFaults(stage).map((fault) => `${manifest.name} ${fault}`)
  for (const platform of platforms) {
    const folder = path.join(stage, 'npm', platform.name)
    const faults = statSync(folder, { throwIfNoEntry: false })
      ? packageFaults(folder, platform, options)
      : ['is not staged']
    lines.push(...faults.map((fault) => `${platform.package} ${fault}`))
  }
  return lines
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { glibc: { type: 'string' }, placeholders: { type: 'boolean' } },
  })
  const stage = path.resolve(root, positionals[0] ?? 'artifacts/stage')
  const faults = faultsOf(stage, { floor: values.glibc, placeholders: values.placeholders })
  for (const platform of platforms) {
    const file = path.join(stage, 'npm', platform.name, platform.binary)
    const bytes = existsSync(file) ? readFileSync(file) : Buffer.alloc(0)
    const { glibc, os, cpu } = describeBinary(bytes) ?? { os: 'no binary' }
    console.log(
      platform.package,
      bytes.length,
      [os, cpu, glibc && `glibc ${glibc}`].filter(Boolean).join(' '),
    )
  }
  for (const fault of faults) console.error(`fault: ${fault}`)
  process.exitCode = faults.length > 0 ? 1 : 0
}
