/**
 * Runs the proofs that take too long, or too special a toolchain, for the tests:
 *
 *     npm run proof -- loom | shuttle | defects | simulation | tier | fuzz [seconds a target] | tsan | asan | mutations [seconds]
 *     npm run proof -- all [seconds]
 *
 * The fuzzers and the sanitizers need a nightly toolchain. What is not installed is skipped and said to be.
 */

import { spawnSync } from 'node:child_process'
import { root } from '../lib.mjs'
import { knownDefects } from './defects.mjs'
import { loom, shuttle } from './explore.mjs'
import { fuzz } from './fuzz.mjs'
import { mutations } from './mutations.mjs'
import { asan, tsan } from './sanitizers.mjs'
import { simulation, tierDefects } from './tier.mjs'

const proofs = {
  loom,
  shuttle,
  defects: knownDefects,
  simulation,
  tier: tierDefects,
  fuzz,
  tsan,
  asan,
  mutations,
}
const [name = 'all', seconds = '60'] = process.argv.slice(2)
const chosen = name === 'all' ? Object.keys(proofs) : [name]

if (!chosen.every((name) => name in proofs) || !(Number(seconds) > 0)) {
  console.error(`npm run proof -- ${Object.keys(proofs).join(' | ')} | all, and seconds`)
  process.exit(2)
}

/** The first line that a command prints, or `undefined` where it cannot be run. */
function ask(command, args) {
  const { status, stdout } = spawnSync(command, args, { cwd: root, encoding: 'utf8' })
  return status === 0 ? stdout.trim() : undefined
}

const nightly = ask('rustc', ['+nightly', '--version', '--verbose'])
const sysroot = ask('rustc', ['+nightly', '--print', 'sysroot'])
const machine = {
  ask,
  hasNightly: nightly !== undefined,
  host: nightly?.match(/^host: (.+)$/m)?.[1],
  sysroot,
}

for (const name of chosen) {
  console.log(`\n== ${name}`)
  const skipped = await proofs[name](machine, Number(seconds))
  if (skipped !== undefined) console.log(`skipped: ${name} (${skipped})`)
}
