import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import path from 'node:path'
import { root } from './versions.mjs'

const command = path.join(root, 'tools/node_modules/node24-linux-x64/bin/node')
const isAgain = process.env.SARK_BENCH_AGAIN === '1'

/** The name under which a benchmark that is run again keeps its figures. */
export const nameHere = (/** @type {string} */ name) => (isAgain ? `${name}-node24` : name)

/**
 * Runs a benchmark again on the Node.js 24 that `node scripts/tools.mjs` installs, unless this is one.
 *
 * @param {string} file
 */
export function runOnNode24(file) {
  if (isAgain || process.versions.node.startsWith('24.')) return
  if (!existsSync(command)) {
    console.log('\nNot run on Node.js 24: it is not in tools/ (node scripts/tools.mjs installs it).')
    return
  }
  console.log('\n--- again, on Node.js 24 ---')
  const env = { ...process.env, SARK_BENCH_AGAIN: '1' }
  const { status, error } = spawnSync(command, [file], { stdio: 'inherit', env })
  if (error !== undefined) throw error
  if (status !== 0) process.exitCode = 1
}
