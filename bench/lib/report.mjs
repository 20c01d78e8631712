import { mkdirSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { drawChart } from './chart.mjs'
import { isQuick } from './quick.mjs'
import { digits, printTable } from './table.mjs'
import { root, versionsOf } from './versions.mjs'

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
 * What is kept of timings.
 *
 * @param {readonly import('./interleave.mjs').Timing[]} timings
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
