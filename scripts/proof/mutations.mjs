import { spawnSync } from 'node:child_process'
import { root } from '../lib.mjs'

/** Changes the core in one place at a time for so many seconds, and lists the changes that no test noticed. */
export function mutations({ ask }, seconds) {
  if (ask('cargo', ['mutants', '--version']) === undefined) return 'cargo install cargo-mutants --locked'
  const args = ['mutants', '--package=sark-cache-core', '--output=target', '--shuffle', '--timeout=120']
  // An interrupt lets it end the tests under way and report.
  const { status, signal, error } = spawnSync('cargo', args, {
    cwd: root,
    stdio: 'inherit',
    timeout: seconds * 1_000,
    killSignal: 'SIGINT',
  })
  const isTimeUp = /** @type {NodeJS.ErrnoException | undefined} */ (error)?.code === 'ETIMEDOUT'
  if (error !== undefined && !isTimeUp) throw error
  if (isTimeUp) console.log('time is up; what was found so far is in target/mutants.out/missed.txt')
  else if (status !== 0) {
    console.error(`failed (${signal ?? status}): cargo ${args.join(' ')}`)
    process.exit(status ?? 1)
  }
  return undefined
}
