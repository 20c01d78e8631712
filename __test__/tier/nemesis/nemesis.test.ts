import { describe, expect, it } from 'vitest'
import { MUTANTS } from './clients.mjs'
import { PROCESS_FAULTS, SERVER_FAULTS } from './faults.mjs'
import { kindOf, run } from './run.mjs'

const SECONDS = Number(process.env.SARK_NEMESIS_SECONDS ?? 60)

/** A run in which little happened proves nothing. */
const LEAST_GETS = 50_000
const LEAST_REMOTE = 1_000

describe.each(['redis', 'valkey'] as const)('three processes over %s', (server) => {
  const shapes = ['dense', 'sparse'] as const
  it.skipIf(kindOf(server) === undefined).each(shapes)(
    'serve nothing too old, whatever befalls them: %s',
    async (shape) => {
      const { totals, faults, reports, problems, log } = await run({
        server,
        shape,
        seconds: SECONDS / shapes.length,
        untilAllFaults: true,
      })
      process.stdout.write(`${server}, ${shape}: ${JSON.stringify(totals)}\n`)
      expect(problems).toEqual([])
      expect(reports).toEqual([])
      expect(totals).toMatchObject({ violations: 0, errors: 0 })
      expect(totals.gets).toBeGreaterThan(LEAST_GETS)
      expect(totals.remote).toBeGreaterThan(LEAST_REMOTE)
      expect(totals.suspended).toBeGreaterThan(LEAST_REMOTE)
      expect(totals.acknowledged).toBeGreaterThan(100)
      // The record forgets as soon as the shape says.
      expect(totals.limits).toBeGreaterThan(100)
      expect(log).toBeLessThan(400)
      for (const name of [...Object.keys(SERVER_FAULTS), ...Object.keys(PROCESS_FAULTS)])
        expect(faults[name], name).toBeGreaterThan(0)
    },
    4 * SECONDS * 1_000 + 120_000,
  )
})

describe.skipIf(kindOf('redis') === undefined)('a defect that is put into the scripts', () => {
  // A rolled-back server that is not noticed needs a run of its own: `npm run nemesis -- --shape sparse --mutant rollback`.
  it.each(Object.keys(MUTANTS).filter((name) => name !== 'rollback'))(
    'is seen: %s',
    async (mutant) => {
      const { totals } = await run({ shape: 'dense', seconds: 60, mutant, stopAtFirst: true })
      expect(totals.scripts).toBeGreaterThan(0)
      expect(totals.violations).toBeGreaterThan(0)
    },
    180_000,
  )
})
