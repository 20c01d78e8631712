import { run } from '../lib.mjs'

/** Tests of the core in a build of their own, with a cfg that puts an explorer of interleavings in. */
function explore(cfg, args, env = {}) {
  run('cargo', ['test', '--release', '--locked', '--package=sark-cache-core', ...args], {
    env: {
      ...process.env,
      RUSTFLAGS: `--cfg ${cfg}`,
      CARGO_TARGET_DIR: `target/${cfg}`,
      CARGO_PROFILE_RELEASE_LTO: 'off',
      CARGO_PROFILE_RELEASE_CODEGEN_UNITS: '16',
      ...env,
    },
  })
}

/** Every interleaving of the fence, of an entry's references, and of the lease of a second tier. */
export function loom() {
  explore('loom', ['--lib', '--', 'fence::', 'entry::', 'follow::'])
}

/** Random schedules of the whole cache; `SARK_CACHE_SCHEDULES` says how many for each test. */
export function shuttle() {
  explore('shuttle', ['--test=shuttle'], {
    SARK_CACHE_SCHEDULES: process.env.SARK_CACHE_SCHEDULES ?? '20000',
  })
}
