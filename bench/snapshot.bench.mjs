// How long does a snapshot take, and for how long does it hold the event loop?

import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { digits } from './lib/chart.mjs'
import { scaled, spread } from './lib/compare.mjs'
import { requireNativeEngine } from './lib/contenders.mjs'
import { atEnd } from './lib/processes.mjs'
import { bar, printTable, writeReport } from './lib/report.mjs'

/** @typedef {import('./lib/snapshot-child.mjs').Measured} Measured */

const ENTRIES = scaled(1_000_000, 10_000)
const RUNS = scaled(7, 1)

requireNativeEngine()
const notes = [
  `Each run is a process of its own, in which a cache of ${ENTRIES.toLocaleString('en')} entries is dumped into a file and loaded into another cache, each once and cold. The file is brought to the disk before the dump ends.`,
  'Meanwhile a second task asks for a turn of the event loop without a pause, and times it. Nothing: the same for a second in which nothing is done, which is what the machine itself takes.',
]
console.log(`\n${notes.join('\n')}`)

const script = fileURLToPath(new URL('./lib/snapshot-child.mjs', import.meta.url))

/** @returns {Promise<Measured>} */
async function inProcess() {
  const child = fork(script, [JSON.stringify({ entries: ENTRIES })])
  const forget = atEnd(() => child.kill())
  /** @type {any} */
  let result
  child.once('message', (message) => {
    result = message
  })
  const [[code]] = await Promise.all([once(child, 'exit'), once(child, 'disconnect')])
  forget()
  assert.equal(code, 0, 'a run failed')
  return result
}

/** @type {Measured[]} */
const runs = []
for (let run = 0; run < RUNS; run++) runs.push(await inProcess())

const steps = /** @type {const} */ (['nothing', 'dump', 'load'])
const rows = steps.map((step) => ({
  name: step,
  ms: spread(runs.map((run) => run[step].ms)),
  longest: spread(runs.map((run) => run[step].longest)),
  long: spread(runs.map((run) => run[step].long)),
}))
printTable(
  `${ENTRIES.toLocaleString('en')} entries, in ms`,
  ['', 'time', 'p25', 'p75', 'longest turn', 'p25', 'p75', 'turns > 5 ms'],
  rows.map(({ name, ms, longest, long }) => [
    name,
    ...[ms.median, ms.p25, ms.p75, longest.median, longest.p25, longest.p75, long.median].map(digits),
  ]),
)

writeReport({
  name: 'snapshot',
  question: 'How long does a snapshot take, and for how long does it hold the event loop?',
  packages: [],
  notes,
  results: { unit: 'ms', entries: ENTRIES, bytes: runs[0]?.bytes, steps: rows },
  panels: [
    {
      kind: 'bars',
      title: `${ENTRIES.toLocaleString('en')} entries: ms, median and p25 to p75`,
      bars: rows.filter(({ name }) => name !== 'nothing').map(({ name, ms }) => bar(name, ms)),
    },
    {
      kind: 'bars',
      title: 'the longest turn of the event loop meanwhile: ms, median and p25 to p75',
      bars: rows.map(({ name, longest }) => bar(name, longest)),
    },
  ],
})
