import { expect, it } from 'vitest'
import { type Shape, simulate } from './simulation/run.js'

/** How many courses of events: `SARK_TEST_SEEDS=10000 npx vitest run __test__/tier/simulation.test.ts`. */
const SEEDS = Number(process.env.SARK_TEST_SEEDS ?? 100)
const FROM = Number(process.env.SARK_TEST_SEED ?? 1)
const shapes: Shape[] = ['dense', 'sparse']

it.each(shapes)('no promise is broken in any course of events, %s', { timeout: 3_600_000 }, async (shape) => {
  const bySource: Record<string, number> = {}
  const faults: Record<string, number> = {}
  for (let seed = FROM; seed < FROM + SEEDS / 2; seed++) {
    const isTraced = process.env.SARK_TEST_TRACE !== undefined
    const { violation, trace, ...seen } = await simulate(seed, shape, isTraced)
    if (violation !== undefined) {
      expect.fail([`seed ${seed}, ${shape}: ${violation}`, ...trace].join('\n'))
    }
    for (const [source, count] of Object.entries(seen.bySource)) {
      bySource[source] = (bySource[source] ?? 0) + count
    }
    for (const [fault, count] of Object.entries(seen.faults)) faults[fault] = (faults[fault] ?? 0) + count
  }
  // A simulation in which nothing happens proves nothing.
  for (const source of ['hit', 'load', 'remote', 'local', 'get'])
    expect(bySource[source]).toBeGreaterThan(SEEDS / 4)
  expect(Object.keys(faults).length).toBeGreaterThan(10)
})
