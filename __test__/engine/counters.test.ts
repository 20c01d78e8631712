import { once } from 'node:events'
import path from 'node:path'
import { Worker } from 'node:worker_threads'
import { describe, expect, it } from 'vitest'
import { openEngine } from '../../src/engine/open.js'
import { engines, thrown, uniqueName, withoutRust } from '../support/engines.js'

const select = path.join(__dirname, '../../dist/engine/open.js')

describe.each(engines)('shared counters on the %s engine', (kind) => {
  it('add up what all engines of the cache have counted', () => {
    const name = uniqueName()
    const [one, other] = [openEngine({ name }, kind), openEngine({ name }, kind)]
    const counters = one.counters('loads', 3)
    expect([...counters.read()]).toEqual([0, 0, 0])
    counters.add(Float64Array.of(1, 0, 2.5))
    other.counters('loads', 3).add(Float64Array.of(10, 2 ** 53, 0))
    one
      .namespace('a')
      .counters('loads', 3)
      .add(Float64Array.of(100, 0, -1))
    one.counters('других', 1).add(Float64Array.of(7))
    const read = counters.read()
    expect([...read]).toEqual([111, 2 ** 53, 1.5])
    read.fill(5)
    expect([...counters.read()]).toEqual([111, 2 ** 53, 1.5])
    counters.reset()
    expect([...other.counters('loads', 3).read()]).toEqual([0, 0, 0])
    expect([...other.counters('других', 1).read()]).toEqual([7])
    one.close()
    expect(thrown(() => counters.read())).toMatchObject({ code: 'ERR_CACHE_CLOSED' })
    expect([...other.counters('других', 1).read()]).toEqual([7])
    other.close()
    const again = openEngine({ name }, kind)
    expect([...again.counters('других', 1).read()]).toEqual([0])
    again.close()
  })

  it('refuse another size and other numbers than there are counters', () => {
    const engine = openEngine({}, kind)
    const counters = engine.counters('g', 2)
    expect(thrown(() => engine.counters('g', 3))).toMatchObject({ code: 'ERR_CACHE_OPTIONS_CONFLICT' })
    for (const size of [0, 1.5, -1, 65_537, Number.NaN]) {
      expect(thrown(() => engine.counters('other', size))).toMatchObject({ code: 'ERR_OUT_OF_RANGE' })
    }
    expect(thrown(() => counters.add(Float64Array.of(1)))).toMatchObject({ code: 'ERR_OUT_OF_RANGE' })
    expect([...counters.read()]).toEqual([0, 0])
    engine.close()
  })
})

describe.skipIf(withoutRust)('shared counters of several threads', () => {
  it('lose nothing', async () => {
    const name = uniqueName()
    const engine = openEngine({ name }, 'rust')
    const source = `
      const { parentPort, workerData } = require('node:worker_threads')
      const { openEngine } = require(${JSON.stringify(select)})
      const counters = openEngine({ name: workerData }, 'rust').counters('g', 2)
      for (let turn = 0; turn < 20_000; turn++) counters.add(Float64Array.of(1, turn))
      parentPort.postMessage('done')
    `
    const run = () => once(new Worker(source, { eval: true, workerData: name }), 'exit')
    await Promise.all([run(), run(), run()])
    expect([...engine.counters('g', 2).read()]).toEqual([60_000, 3 * ((19_999 * 20_000) / 2)])
    engine.close()
  })
})
