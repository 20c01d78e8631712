/** Builds what is missing and runs all tests: those of the Rust crates, then those of the package. */

import { hasCargo, run } from './lib.mjs'

run(process.execPath, ['scripts/build.mjs'])
if (hasCargo()) {
  run('cargo', ['test', '--workspace', '--locked'])
} else {
  console.log('skipped: the tests of the Rust crates (there is no Rust toolchain)')
}
run('npx', ['--no-install', 'vitest', 'run', ...process.argv.slice(2)])
