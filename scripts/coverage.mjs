/**
 * Reports the lines that tests cover and fails below 95 %: of `src/` with vitest, of `crates/core/src` with
 * cargo-tarpaulin, which must be installed (`cargo install cargo-tarpaulin --locked`).
 */

import { spawnSync } from 'node:child_process'
import { hasCargo, run } from './lib.mjs'

run(process.execPath, ['scripts/build.mjs'])
// Those that say the same of more cases, or by processes that are not looked into, cover no line more.
const rest = ['properties', 'process', 'tier/cluster.test.ts', 'tier/ports.test.ts']
const excluded = rest.flatMap((name) => ['--exclude', `__test__/${name}${name.includes('.') ? '' : '/**'}`])
run('npx', ['--no-install', 'vitest', 'run', '--coverage', ...excluded])

if (!hasCargo()) {
  console.log('skipped: the coverage of crates/core (there is no Rust toolchain)')
} else if (spawnSync('cargo', ['tarpaulin', '--version'], { stdio: 'ignore' }).status !== 0) {
  console.log('skipped: the coverage of crates/core (cargo install cargo-tarpaulin --locked)')
} else {
  run('cargo', [
    'tarpaulin',
    '--package=sark-cache-core',
    '--engine=llvm',
    '--include-files=crates/core/src/*',
    '--target-dir=target/tarpaulin',
    '--skip-clean',
    '--out=Stdout',
    '--fail-under=95',
  ])
}
