/**
 * Builds the native engine into `native/`: `node scripts/build-native.mjs [arguments of napi build]`.
 *
 * @napi-rs/cli names a platform's package `<packageName>-<platform>`, and its loader asks for that. The
 * packages are named `@sark-cache/<platform>`; so must be what the loader asks for.
 */

import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { root, run } from './lib.mjs'
import { manifest, scope } from './release/targets.mjs'

run('npx', [
  '--no-install',
  'napi',
  'build',
  '--platform',
  '--manifest-path',
  'crates/node/Cargo.toml',
  '--package-json-path',
  'package.json',
  '--output-dir',
  'native',
  '--js',
  'binding.js',
  '--dts',
  'binding.d.ts',
  ...process.argv.slice(2),
])

const loader = path.join(root, 'native/binding.js')
const written = readFileSync(loader, 'utf8')
const named = written.replaceAll(`require('${manifest.napi.packageName}-`, `require('${scope}/`)
if (!named.includes(`require('${scope}/`)) throw new Error(`the loader asks for no package of ${scope}`)
writeFileSync(loader, named)
