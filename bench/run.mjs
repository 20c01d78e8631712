// npm run bench [-- [--quick] name ...]: runs the named benchmarks, or all, each in a process of its own, so
// that neither V8's type feedback nor the heap of one question bears on the next. Each writes its figures to
// bench/results/NAME.json and draws them in NAME.svg.
//
// --quick, which sets SARK_BENCH_QUICK=1, makes each as short as it can be, to see that it works. The figures
// mean nothing then, and go to target/bench.

import { spawn } from 'node:child_process'
import { existsSync, readdirSync, symlinkSync } from 'node:fs'
import os from 'node:os'
import { fileURLToPath } from 'node:url'
import { install, root } from '../scripts/lib.mjs'

const SUFFIX = '.bench.mjs'

const known = readdirSync(new URL('.', import.meta.url))
  .filter((file) => file.endsWith(SUFFIX))
  .map((file) => file.slice(0, -SUFFIX.length))
  .sort()

const args = process.argv.slice(2)
if (args.includes('--quick')) process.env.SARK_BENCH_QUICK = '1'
const asked = args.filter((arg) => arg !== '--quick')
const unknown = asked.filter((name) => !known.includes(name))
if (unknown.length > 0) {
  console.error(`no benchmark named ${unknown.join(', ')}; there are: ${known.join(', ')}`)
  process.exit(2)
}

install('bench')
// A folder that is a package finds this one only where it finds the others.
const self = fileURLToPath(new URL('node_modules/sark-cache', import.meta.url))
if (!existsSync(self)) symlinkSync(root, self, 'junction')

const cpus = os.cpus()
console.log(`node ${process.version}, ${process.platform} ${process.arch}`)
console.log(`${cpus[0]?.model.trim() ?? 'unknown cpu'}, ${cpus.length} cores`)
console.log(new Date().toISOString())

/** @type {import('node:child_process').ChildProcess | undefined} */
let running
let interrupted = false
for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM'])) {
  // The benchmark stops the servers that it started before it ends; this process must not end first.
  process.on(signal, () => {
    interrupted = true
    running?.kill(signal)
  })
}

/** @type {string[]} */
const failed = []
for (const name of asked.length > 0 ? asked : known) {
  console.log(`\n=== ${name} ===`)
  const start = performance.now()
  if (!(await run(name))) failed.push(name)
  console.log(`\n${name} took ${((performance.now() - start) / 1000).toFixed(0)} s.`)
  if (interrupted) process.exit(130)
}
if (failed.length > 0) {
  console.error(`\nfailed: ${failed.join(', ')}`)
  process.exitCode = 1
}

/**
 * Runs one benchmark to its end.
 *
 * @param {string} name
 * @returns {Promise<boolean>} Whether it succeeded.
 */
function run(name) {
  const file = fileURLToPath(new URL(`${name}${SUFFIX}`, import.meta.url))
  return new Promise((resolve, reject) => {
    running = spawn(process.execPath, [file], { stdio: 'inherit' })
    running.once('error', reject)
    running.once('exit', (code, signal) => {
      if (signal !== null) console.error(`${name} was ended by ${signal}`)
      resolve(code === 0)
    })
  })
}
