/**
 * Builds what is missing and runs the tests of what is released. With `--built` it takes what is there, such
 * as a binary from elsewhere. Other arguments go to vitest.
 */

import { install, run } from './lib.mjs'

const args = process.argv.slice(2)
const forVitest = args.filter((arg) => arg !== '--built')
if (!args.includes('--built')) run(process.execPath, ['scripts/build.mjs'])
install('tools')
run('npx', ['--no-install', 'vitest', 'run', '--config', 'vitest.release.config.mts', ...forVitest])
