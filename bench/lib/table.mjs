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
 * @param {readonly import('./interleave.mjs').Timing[]} timings
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
 * A number with three significant digits, or all the digits before the point if there are more.
 *
 * @param {number} value
 */
export function digits(value) {
  if (!Number.isFinite(value)) return '-'
  const decimals = value === 0 ? 0 : Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))))
  return value.toFixed(Math.min(decimals, 3))
}

/**
 * A round number, in thousands or millions where it is.
 *
 * @param {number} value
 */
export function short(value) {
  if (value >= 1e6) return `${value / 1e6} M`
  return value >= 1e4 ? `${value / 1e3} k` : `${value}`
}
