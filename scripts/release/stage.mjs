/**
 * Lays out what a release publishes, in a folder of its own, so that the checkout stays as it is and
 * installable: `node scripts/release/stage.mjs [folder] [--binaries native] [--placeholders]`.
 *
 * The folder holds the root package, which asks for the platform packages as `optionalDependencies`, and
 * under `npm/` a package for each platform. With `--placeholders`, a platform whose binary is not there gets
 * a file that says so, for a rehearsal; nothing publishes that.
 */

import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { root, run } from '../lib.mjs'
import { manifest, platforms } from './targets.mjs'

/** What stands for a binary in a rehearsal. */
export const PLACEHOLDER = 'a placeholder, for a rehearsal of the release\n'

/** Fields of `package.json` that mean something in a checkout alone. */
const CHECKOUT_ONLY = ['scripts', 'devDependencies']

function writeJson(file, value) {
  writeFileSync(file, `${JSON.stringify(value, null, 2)}\n`)
}

/** What is packed lies in these; `files` says which of it. */
const PLACES = [...new Set(manifest.files.map((file) => file.replace(/^dist\/.*/, 'dist')))]

/** Where the code lives, which a provenance statement is checked against; a workflow of a fork knows better. */
function repository() {
  const { GITHUB_REPOSITORY, GITHUB_SERVER_URL } = process.env
  if (!GITHUB_REPOSITORY) return { repository: manifest.repository }
  return { repository: { type: 'git', url: `git+${GITHUB_SERVER_URL}/${GITHUB_REPOSITORY}.git` } }
}

/** The binaries in a folder and the folders in it, by name. */
function binariesIn(folder) {
  const files = readdirSync(folder, { encoding: 'utf8', recursive: true }).filter((name) =>
    name.endsWith('.node'),
  )
  return new Map(files.map((name) => [path.basename(name), path.join(folder, name)]))
}

/** Completes what @napi-rs/cli wrote for a platform, with what it leaves out. */
function finish(folder, platform, origin) {
  const file = path.join(folder, 'package.json')
  const written = JSON.parse(readFileSync(file, 'utf8'))
  const libc = platform.libc && [platform.libc]
  // What @napi-rs/cli makes of `packageName`, in the manifest and in the text beside it.
  const name = `${manifest.napi.packageName}-${platform.name}`
  writeJson(file, { ...written, name: platform.package, type: 'commonjs', ...origin, ...(libc && { libc }) })
  const readme = path.join(folder, 'README.md')
  writeFileSync(
    readme,
    readFileSync(readme, 'utf8')
      .replaceAll(name, platform.package)
      .replaceAll(`\`${manifest.napi.packageName}\``, `\`${manifest.name}\``),
  )
  cpSync(path.join(root, 'LICENSE'), path.join(folder, 'LICENSE'))
}

/** Stages a release in `stage`, with the binaries that are found under `binaries`. */
export function stageRelease(stage, binaries, { placeholders = false } = {}) {
  const napi = (...args) =>
    run('npx', ['--no-install', 'napi', ...args, '--cwd', stage], { stdio: ['ignore', 'ignore', 'inherit'] })
  rmSync(stage, { recursive: true, force: true })
  mkdirSync(path.join(stage, 'binaries'), { recursive: true })
  const origin = repository()
  writeJson(path.join(stage, 'package.json'), { ...manifest, ...origin })
  for (const place of [...PLACES, 'README.md', 'LICENSE']) {
    cpSync(path.join(root, place), path.join(stage, place), { recursive: true })
  }

  const built = binariesIn(binaries)
  for (const { binary, target } of platforms) {
    const to = path.join(stage, 'binaries', binary)
    const from = built.get(binary)
    if (from !== undefined) cpSync(from, to)
    else if (placeholders) writeFileSync(to, PLACEHOLDER)
    else throw new Error(`there is no binary for ${target} (${binary}) under ${binaries}`)
  }
  napi('create-npm-dirs')
  napi('artifacts', '--output-dir', 'binaries')
  napi('pre-publish', '--tag-style', 'npm', '--no-gh-release', '--skip-optional-publish')

  // `napi artifacts` leaves a copy of each binary beside the root package, too.
  for (const { binary } of platforms) rmSync(path.join(stage, binary), { force: true })
  rmSync(path.join(stage, 'binaries'), { recursive: true })
  for (const platform of platforms) finish(path.join(stage, 'npm', platform.name), platform, origin)
  const file = path.join(stage, 'package.json')
  const staged = JSON.parse(readFileSync(file, 'utf8'))
  for (const field of CHECKOUT_ONLY) delete staged[field]
  staged.optionalDependencies = Object.fromEntries(
    platforms.map((platform) => [platform.package, manifest.version]),
  )
  writeJson(file, staged)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { binaries: { type: 'string', default: 'native' }, placeholders: { type: 'boolean' } },
  })
  for (const place of PLACES) {
    if (!existsSync(path.join(root, place))) throw new Error(`${place} is not built: npm run build`)
  }
  const stage = path.resolve(root, positionals[0] ?? 'artifacts/stage')
  stageRelease(stage, path.resolve(root, values.binaries), values)
  console.log(
    `staged ${manifest.name}@${manifest.version} and ${platforms.length} platform packages in ${stage}`,
  )
}
