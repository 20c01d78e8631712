import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import path from 'node:path'
import { atEnd } from './at-end.mjs'
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
export async function runOnNode24(file) {
  if (isAgain || process.versions.node.startsWith('24.')) return
  if (!existsSync(command)) {
    console.log('\nNot run on Node.js 24: it is not in tools/ (node scripts/tools.mjs installs it).')
    return
  }
  console.log('\n--- again, on Node.js 24 ---')
  const env = { ...process.env, SARK_BENCH_AGAIN: '1' }
  const child = spawn(command, [file], { stdio: 'inherit', env })
  const forget = atEnd(() => child.kill())
  const [code] = await once(child, 'exit')
  forget()
  if (code !== 0) process.exitCode = 1
}
