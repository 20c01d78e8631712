import { readFileSync } from 'node:fs'
import path from 'node:path'
import { expect, it } from 'vitest'
import { parse } from 'yaml'
import { METRICS } from '../../src/metrics/samples.js'

const root = path.join(__dirname, '../..')
const page = readFileSync(path.join(root, 'docs/monitoring.md'), 'utf8')

/** The cells of the rows of a table, by the first of its heads. */
function rowsOf(head: string): string[][] {
  const lines = page.split('\n')
  const start = lines.findIndex((line) => new RegExp(`^\\| ${head} +\\|`).test(line)) + 2
  const end = lines.findIndex((line, at) => at > start && !line.startsWith('|'))
  return lines.slice(start, end).map((line) =>
    line
      .slice(1, -1)
      .split('|')
      .map((cell) => cell.trim()),
  )
}

it('lists every metric as it is, and no other', () => {
  const expected = METRICS.map(({ name, instrument, type, labels, help }) => {
    const written = Object.entries(labels).map(
      ([label, values]) => `\`${label}\`: ${values.map((value) => `\`${value}\``).join(', ')}`,
    )
    return [`\`${name}\``, `\`${instrument}\``, type, written.join('; '), help]
  })
  expect(rowsOf('metric')).toEqual(expected)
})

it('lists every alert, and no other', () => {
  const { groups } = parse(readFileSync(path.join(root, 'ops/alerts.yml'), 'utf8'))
  const alerts = groups[0].rules.flatMap(({ alert }: { alert?: string }) =>
    alert === undefined ? [] : [`\`${alert}\``],
  )
  expect(
    rowsOf('alert')
      .map(([name]) => name)
      .toSorted(),
  ).toEqual(alerts.toSorted())
})
