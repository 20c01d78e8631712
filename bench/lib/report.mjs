import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { root } from '../../scripts/lib.mjs'
import { digits, drawChart } from './chart.mjs'
import { isQuick } from './compare.mjs'

/** The figures of a trial are not kept. */
const folder = path.join(root, isQuick ? 'target/bench' : 'bench/results')

/**
 * Something that is wanted of this project, and what was measured.
 *
 * @typedef {object} Check
 * @property {string} wanted
 * @property {number} measured
 * @property {boolean} met
 */

/**
 * @param {string} what
 * @param {number} measured
 * @param {number} most
 * @returns {Check}
 */
export const atMost = (what, measured, most) => ({
  wanted: `${what} <= ${most}`,
  measured,
  met: measured <= most,
})

/**
 * @param {string} what
 * @param {number} measured
 * @param {number} least
 * @returns {Check}
 */
export const atLeast = (what, measured, least) => ({
  wanted: `${what} >= ${least}`,
  measured,
  met: measured >= least,
})

/**
 * A bar up to the median, with a whisker from p25 to p75.
 *
 * @param {string} name
 * @param {import('./compare.mjs').Spread} spread
 * @param {number} [unit] What one is on the axis.
 * @returns {import('./chart.mjs').Bar}
 */
export const bar = (name, { median, p25, p75 }, unit = 1) => ({
  name,
  value: median / unit,
  low: p25 / unit,
  high: p75 / unit,
})

/**
 * What is kept of timings.
 *
 * @param {readonly import('./compare.mjs').Timing[]} timings
 */
export const figuresOf = (timings) =>
  timings.map(({ name, median, p25, p75, ratio }) => ({ name, median, p25, p75, ratio }))

/**
 * Prints the checks and writes `NAME.json` and `NAME.svg`.
 *
 * @param {object} report
 * @param {string} report.name
 * @param {string} report.question
 * @param {readonly string[]} report.packages Those whose versions matter, besides this one.
 * @param {Record<string, string>} [report.versions] Of what is no package.
 * @param {readonly string[]} [report.notes] What has to be known to read the figures.
 * @param {readonly Check[]} [report.checks]
 * @param {unknown} report.results
 * @param {readonly import('./chart.mjs').Panel[]} report.panels
 */
export function writeReport({
  name,
  question,
  packages,
  versions = {},
  notes = [],
  checks = [],
  results,
  panels,
}) {
  if (checks.length > 0) {
    printTable(
      'wanted',
      ['', 'measured', 'met'],
      checks.map(({ wanted, measured, met }) => [wanted, digits(measured), met ? 'yes' : 'no']),
    )
  }
  const cpus = os.cpus()
  const report = {
    name,
    question,
    date: new Date().toISOString(),
    node: process.version,
    v8: process.versions.v8,
    platform: `${process.platform} ${process.arch}`,
    cpu: cpus[0]?.model.trim() ?? 'unknown',
    cores: cpus.length,
    memoryGiB: Math.round(os.totalmem() / 2 ** 30),
    versions: { ...versionsOf(['sark-cache', ...packages]), ...versions },
    ...(isQuick && { trial: true }),
    notes,
    checks,
    results,
  }
  const machine = `Node.js ${process.versions.node}, ${report.cpu}, ${report.cores} cores, ${report.date.slice(0, 10)}`
  const of = Object.entries(report.versions).map(([of, version]) => `${of} ${version}`)
  mkdirSync(folder, { recursive: true })
  writeFileSync(path.join(folder, `${name}.json`), `${JSON.stringify(report, rounded, 2)}\n`)
  writeFileSync(
    path.join(folder, `${name}.svg`),
    `${drawChart({ title: question, footer: [machine, of.join(', ')], panels })}\n`,
  )
  console.log(`\n${path.relative(process.cwd(), path.join(folder, name))}.json and .svg are written.`)
}

/**
 * Four significant digits say all that was measured.
 *
 * @param {string} _key
 * @param {unknown} value
 */
function rounded(_key, value) {
  return typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(4)) : value
}

/**
 * Prints a table: the first column aligned to the left, the others to the right.
 *
 * @param {string} title
 * @param {readonly string[]} header
 * @param {readonly (readonly string[])[]} rows
 */
export function printTable(title, header, rows) {
  const lines = [header, ...rows]
  const widths = header.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)))
  /** @param {readonly string[]} cells */
  const format = (cells) =>
    widths
      .map((width, column) => {
        const cell = cells[column] ?? ''
        return column === 0 ? cell.padEnd(width) : cell.padStart(width)
      })
      .join('  ')
      .trimEnd()
  console.log(`\n${title}`)
  console.log(format(header))
  console.log(widths.map((width) => '-'.repeat(width)).join('  '))
  for (const row of rows) console.log(format(row))
}

/**
 * A row for each candidate: what an operation took in ns, and how many times what the baseline took.
 *
 * @param {string} title
 * @param {string} baseline
 * @param {readonly import('./compare.mjs').Timing[]} timings
 */
export function printTimings(title, baseline, timings) {
  printTable(
    title,
    ['', 'ns/op', 'p25', 'p75', `x ${baseline}`, 'p25', 'p75'],
    timings.map(({ name, median, p25, p75, ratio }) => [
      name,
      ...[median, p25, p75, ratio.median, ratio.p25, ratio.p75].map(digits),
    ]),
  )
}

/**
 * The folder of an installed package, or of this one.
 *
 * @param {string} name
 */
export function folderOf(name) {
  if (name === 'sark-cache') return root
  const own = path.join(root, 'bench/node_modules', name)
  return existsSync(own) ? own : path.join(root, 'node_modules', name)
}

/**
 * @param {string} folder
 * @returns {{ name: string, version: string, dependencies?: Record<string, string>,
 *   optionalDependencies?: Record<string, string> }}
 */
export const manifestOf = (folder) => JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8'))

/**
 * The installed versions of packages.
 *
 * @param {Iterable<string>} names
 */
export function versionsOf(names) {
  return Object.fromEntries([...new Set(names)].map((name) => [name, manifestOf(folderOf(name)).version]))
}
