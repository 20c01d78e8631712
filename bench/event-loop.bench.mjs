// For how long is the event loop held, and what do millions of entries take?

import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { digits, short } from './lib/chart.mjs'
import { scaled, seeded, shuffle, spread } from './lib/compare.mjs'
import { LRU, NEAR, requireNativeEngine } from './lib/contenders.mjs'
import { atEnd } from './lib/processes.mjs'
import { atLeast, atMost, printTable, writeReport } from './lib/report.mjs'

/** @typedef {import('./lib/event-loop-child.mjs').Task} Task */
/** @typedef {import('./lib/event-loop-child.mjs').Churn} Churn */
/** @typedef {import('./lib/event-loop-child.mjs').Holds} Holds */

const FEW = scaled(1_000_000, 10_000)
const MANY = scaled(4_000_000, 40_000)
const CHURN_MS = scaled(5_000, 300)
/** Ms from the storing of what is cleaned up to its expiry. */
const LEAD_MS = scaled(8_000, 500)
/** Runs of each cache, by the number of entries. */
const RUNS = new Map([
  [FEW, scaled(2, 1)],
  [MANY, scaled(2, 1)],
])
const OPTIONS = ['--expose-gc', '--max-old-space-size=12288']

requireNativeEngine()
const notes = [
  'Each cache has a process of its own, which inserts new keys at capacity and reads younger ones, as many of each, for 1 ms in each turn of the event loop. A turn is timed from one such slice to the next, so that the best is 1 ms.',
  'The delay is that of perf_hooks.monitorEventLoopDelay, with a resolution of 1 ms.',
  'Bytes an entry: what the resident memory of the process grew by while the cache was filled, garbage collected, the keys included.',
  'Each insertion makes a decision of about 100 bytes of JSON anew, as an evaluation would.',
]
console.log(`\n${notes.join('\n')}`)

const script = fileURLToPath(new URL('./lib/event-loop-child.mjs', import.meta.url))

/**
 * @template T
 * @param {Task} task
 * @returns {Promise<T>}
 */
async function inProcess(task) {
  const child = fork(script, [JSON.stringify(task)], { execArgv: OPTIONS })
  const forget = atEnd(() => child.kill())
  /** @type {any} */
  let result
  child.once('message', (message) => {
    result = message
  })
  // A message may come after the end of the process that sent it.
  const [[code]] = await Promise.all([once(child, 'exit'), once(child, 'disconnect')])
  forget()
  assert.equal(code, 0, `${JSON.stringify(task)} failed`)
  return result
}

const kinds = /** @type {const} */ ([
  { name: NEAR, kind: 'sark' },
  { name: LRU, kind: 'lru' },
])
const random = seeded(1)
const cells = [...RUNS.keys()].flatMap((entries) =>
  kinds.map((each) => ({ ...each, entries, runs: /** @type {Churn[]} */ ([]) })),
)
for (const [entries, runs] of RUNS) {
  for (let run = 0; run < runs; run++) {
    for (const cell of shuffle(
      cells.filter((cell) => cell.entries === entries),
      random,
    )) {
      const { kind } = cell
      cell.runs.push(await inProcess({ task: 'churn', kind, entries, ms: CHURN_MS, expiring: 0 }))
    }
  }
}
/** @type {Holds} */
const holds = await inProcess({
  task: 'holds',
  kind: 'sark',
  entries: MANY,
  ms: LEAD_MS,
  expiring: FEW,
})

/**
 * @param {(typeof cells)[number]} cell
 * @param {(run: Churn) => number} of
 */
const middle = ({ runs }, of) => spread(runs.map(of)).median

for (const [title, of] of /** @type {const} */ ([
  ['a turn of the event loop, in ms', (/** @type {Churn} */ run) => run.turn],
  ['event loop delay, in ms', (/** @type {Churn} */ run) => run.delay],
])) {
  printTable(
    `${title} (medians of the runs)`,
    ['', 'entries', 'p50', 'p99', 'p99.9', 'max'],
    cells.map((cell) => [
      cell.name,
      short(cell.entries),
      ...[
        middle(cell, (run) => of(run).p50),
        middle(cell, (run) => of(run).p99),
        middle(cell, (run) => of(run).p999),
        middle(cell, (run) => of(run).max),
      ].map(digits),
    ]),
  )
}
printTable(
  'memory and garbage collection (medians of the runs)',
  ['', 'entries', 'bytes an entry', 'heap MiB', 'k ops/s', 'gc % of time', 'major', 'longest gc ms'],
  cells.map((cell) => [
    cell.name,
    short(cell.entries),
    ...[
      middle(cell, (run) => run.bytesPerEntry),
      middle(cell, (run) => run.heapMiB),
      middle(cell, (run) => run.opsPerSecond / 1000),
      middle(cell, (run) => run.gc.share * 100),
      middle(cell, (run) => run.gc.majors),
      middle(cell, (run) => run.gc.longestMs),
    ].map(digits),
  ]),
)
const removals = /** @type {const} */ ([
  [`clear, ${short(MANY)} entries`, holds.clear],
  [`close, ${short(MANY)} entries`, holds.close],
  [`CleanupTask, ${short(FEW)} expired`, holds.cleaning],
])
printTable(
  `the longest turn of the event loop while ${NEAR} removes much, in ms`,
  ['', 'ms'],
  removals.map(([title, ms]) => [title, digits(ms)]),
)

const [own, other] = kinds.map(({ name }) =>
  cells.find((cell) => cell.name === name && cell.entries === MANY),
)
assert.ok(own !== undefined && other !== undefined)

writeReport({
  name: 'event-loop',
  question: 'For how long is the event loop held?',
  packages: ['lru-cache'],
  notes,
  checks: [
    atLeast(
      `${short(MANY)} entries: longest turn of ${LRU} / ${NEAR}`,
      middle(other, (run) => run.turn.max) / middle(own, (run) => run.turn.max),
      20,
    ),
    atMost(
      `${short(MANY)} entries: bytes an entry of ${NEAR} / ${LRU}`,
      middle(own, (run) => run.bytesPerEntry) / middle(other, (run) => run.bytesPerEntry),
      0.5,
    ),
    atMost(`${removals[2][0]}: longest turn, ms`, holds.cleaning, 5),
  ],
  results: { unit: 'ms', churn: cells, removing: holds },
  panels: [
    {
      kind: 'bars',
      title: 'the longest turn of the event loop with churn: ms, median and range of the runs',
      log: true,
      bars: cells.map((cell) => bar(cell, (run) => run.turn.max)),
    },
    {
      kind: 'bars',
      title: 'p99.9 of the turns: ms, median and range of the runs',
      log: true,
      bars: cells.map((cell) => bar(cell, (run) => run.turn.p999)),
    },
    {
      kind: 'bars',
      title: 'resident bytes an entry',
      bars: cells.map((cell) => bar(cell, (run) => run.bytesPerEntry)),
    },
    {
      kind: 'bars',
      title: 'the longest turn while much is removed: ms',
      log: true,
      bars: removals.map(([title, ms]) => ({ name: `sark-cache: ${title}`, value: ms })),
    },
  ],
})

/**
 * @param {(typeof cells)[number]} cell
 * @param {(run: Churn) => number} of
 */
function bar(cell, of) {
  const figures = cell.runs.map(of)
  return {
    name: `${cell.name}: ${short(cell.entries)}`,
    value: middle(cell, of),
    low: Math.min(...figures),
    high: Math.max(...figures),
  }
}
