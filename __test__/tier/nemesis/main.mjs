/**
 * The nemesis by hand: processes over a real server, with all that can befall them.
 *
 *   npm run nemesis -- [--seconds 60] [--server redis|valkey] [--shape dense|sparse] [--pace 60] [--mutant NAME]
 *
 * It ends with 1 if anything was served that was too old, or went wrong. With a mutant, a defect put into the scripts, it
 * ends with 1 if that was not seen.
 */

import { parseArgs } from 'node:util'
import { MUTANTS } from './clients.mjs'
import { PROCESS_FAULTS, SERVER_FAULTS } from './faults.mjs'
import { run } from './run.mjs'
import { SHAPES } from './shapes.mjs'

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    server: { type: 'string', default: 'redis' },
    shape: { type: 'string', default: 'dense' },
    pace: { type: 'string', default: '60' },
    mutant: { type: 'string' },
  },
})
const [seconds, pace] = [Number(values.seconds), Number(values.pace)]
const { server, shape, mutant } = values
const usage = (/** @type {string} */ what) => {
  process.stderr.write(`${what}\n`)
  process.exit(2)
}
if (!(seconds > 0) || !(pace > 0)) usage('--seconds and --pace must be numbers of more than 0')
if (server !== 'redis' && server !== 'valkey') usage('--server must be redis or valkey')
if (!Object.hasOwn(SHAPES, shape)) usage(`--shape must be one of ${Object.keys(SHAPES).join(', ')}`)
if (mutant !== undefined && !Object.hasOwn(MUTANTS, mutant))
  usage(`--mutant must be one of ${Object.keys(MUTANTS).join(', ')}`)

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(130))

const report = await run({
  server: /** @type {'redis'} */ (server),
  shape: /** @type {'dense'} */ (shape),
  seconds,
  pace,
  mutant,
  stopAtFirst: mutant !== undefined,
})
const { totals, faults, reports, problems } = report
const print = (/** @type {string} */ line) => process.stdout.write(`${line}\n`)
print(`${report.server}, ${shape}, ${seconds} s`)
for (const [name, count] of Object.entries(totals)) print(`  ${name.padEnd(14)}${count}`)
print(`  faults        ${Object.values(faults).reduce((sum, count) => sum + count, 0)}`)
for (const name of [...Object.keys(SERVER_FAULTS), ...Object.keys(PROCESS_FAULTS)])
  print(`    ${String(faults[name] ?? 0).padStart(4)}  ${name}`)
for (const each of reports.slice(0, 20)) print(JSON.stringify(each))
for (const each of problems) print(`problem: ${each}`)
const isSound = totals.violations === 0 && totals.errors === 0 && problems.length === 0
if (mutant !== undefined) print(totals.violations ? `${mutant} was seen` : `${mutant} was not seen`)
process.exitCode = (mutant === undefined ? isSound : totals.violations > 0) ? 0 : 1
