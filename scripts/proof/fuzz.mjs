import path from 'node:path'
import { root, run } from '../lib.mjs'

/** Feeds arbitrary calls to the cache, for so many seconds a target, with AddressSanitizer. */
export function fuzz({ ask, hasNightly }, seconds) {
  if (!hasNightly) return 'rustup toolchain install nightly'
  if (ask('cargo', ['fuzz', '--version']) === undefined) return 'cargo install cargo-fuzz --locked'
  for (const target of ['ops', 'concurrent']) {
    // A case takes some ms; one that takes so long never ends.
    const limits = [`-max_total_time=${seconds}`, '-timeout=20', '-rss_limit_mb=4096', '-max_len=4096']
    const args = [
      '+nightly',
      'fuzz',
      'run',
      target,
      '--',
      ...limits,
      '-print_final_stats=1',
      '-print_funcs=0',
      '-verbosity=0',
    ]
    run('cargo', args, { cwd: path.join(root, 'crates/core') })
  }
  return undefined
}
