import { existsSync } from 'node:fs'
import path from 'node:path'
import { run } from '../lib.mjs'

/** Runs tests of the core, built by the nightly toolchain with a sanitizer in it and in the standard library. */
function test({ hasNightly, host, sysroot }, sanitizer, flags, tests, env) {
  if (!hasNightly) return 'rustup toolchain install nightly'
  const source = path.join(sysroot, 'lib/rustlib/src/rust/library/Cargo.lock')
  if (!existsSync(source)) {
    // Without it a sanitizer does not see the locks, and the memory, of the standard library.
    return 'rustup component add rust-src --toolchain nightly'
  }
  const std = ['-Zbuild-std', `--target=${host}`, `--target-dir=target/${sanitizer}`]
  run('cargo', ['+nightly', 'test', '--package=sark-cache-core', '--locked', ...std, ...tests], {
    env: { ...process.env, RUSTFLAGS: [`-Zsanitizer=${sanitizer}`, ...flags].join(' '), ...env },
  })
  return undefined
}

/** Data races between the threads of those tests that have more than one. */
export function tsan(machine) {
  const tests = ['threads', 'linearizability', 'bounds'].map((name) => `--test=${name}`)
  return test(machine, 'thread', [], tests, {
    TSAN_OPTIONS: 'halt_on_error=1:second_deadlock_stack=1',
    SARK_CACHE_HISTORY: '20000',
  })
}

/** Memory errors and leaks in all tests but those whose thousands of cases would take too long. */
export function asan(machine) {
  return test(machine, 'address', [], ['--lib', '--tests'], {
    ASAN_OPTIONS: 'detect_leaks=1:detect_stack_use_after_return=1',
    SARK_CACHE_HISTORY: '20000',
  })
}
