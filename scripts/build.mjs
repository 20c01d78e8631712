/**
 * Builds what is missing or older than its sources: the TypeScript, and with a Rust toolchain the native
 * engine. Without one the package works on the fallback engine.
 */

import { readdirSync } from 'node:fs'
import path from 'node:path'
import { hasCargo, newest, root, run } from './lib.mjs'

function builtBinaries() {
  try {
    return readdirSync(path.join(root, 'native')).filter((name) => name.endsWith('.node'))
  } catch {
    return []
  }
}

const rust = newest(
  'crates/core/src',
  'crates/core/Cargo.toml',
  'crates/node/src',
  'crates/node/Cargo.toml',
  'crates/node/build.rs',
  'Cargo.toml',
  'Cargo.lock',
  'scripts/build-native.mjs',
)
const binaries = builtBinaries()
const built = Math.min(
  ...binaries.map((name) => newest(path.join('native', name))),
  newest('native/binding.js'),
)
if (binaries.length === 0 || built < rust) {
  if (hasCargo()) {
    console.log('building the native engine …')
    run('npm', ['run', '--silent', 'build:native'])
  } else if (binaries.length === 0) {
    console.log('no Rust toolchain: the native engine is not built, and the fallback engine is used')
  } else {
    console.log('no Rust toolchain: the native engine is older than its sources')
  }
}

if (newest('dist/index.js') < newest('src', 'tsconfig.json', 'package.json')) {
  console.log('building the TypeScript …')
  run('npm', ['run', '--silent', 'build:ts'])
}
