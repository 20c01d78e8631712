/**
 * Builds what is missing and runs the tests of what is released. With `--built` it takes what is there, such
 * as a binary from elsewhere. Other arguments go to vitest.
 */

import { existsSync } from 'node:fs'
import path from 'node:path'
import { newest, root, run } from './lib.mjs'

const args = process.argv.slice(2)
const forVitest = args.filter((arg) => arg !== '--built')
if (!args.includes('--built')) run(process.execPath, ['scripts/build.mjs'])
const installed = newest('tools/node_modules/.package-lock.json')
if (!existsSync(path.join(root, 'tools/node_modules')) || installed < newest('tools/package-lock.json')) {
  console.log('installing the runtimes …')
  run(process.execPath, ['scripts/tools.mjs'])
}
run('npx', ['--no-install', 'vitest', 'run', '--config', 'vitest.release.config.mts', ...forVitest])
