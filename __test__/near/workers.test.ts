import { once } from 'node:events'
import path from 'node:path'
import { Worker } from 'node:worker_threads'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Cache } from '../../src/index.js'
import { uniqueName, withoutRust } from '../support/engines.js'

const dist = path.join(__dirname, '../../dist/index.js')

/** What a thread does; `v` is a value that no other step writes. */
type Step =
  | { do: 'get' | 'peek' | 'delete' | 'take'; key: number }
  | { do: 'set'; key: number; v: number; tag: number; ttl: number }
  | { do: 'tag'; tag: number }
  | { do: 'clear' }
  /** Reads that the copy should answer. */
  | { do: 'again'; key: number }

/** What became of a step: tickets drawn before and after it, ns before and after it, and what was read. */
interface Record {
  step: Step
  from: number
  to: number
  began: bigint
  ended: bigint
  read: (number | undefined)[]
}

const WORKER = `
  const { parentPort, workerData } = require('node:worker_threads')
  const { Cache } = require(${JSON.stringify(dist)})
  const ticket = new Int32Array(workerData.shared)
  parentPort.on('message', ({ name, steps, entries }) => {
    const cache = new Cache({ name, max: entries })
    // Both threads begin together.
    Atomics.add(ticket, 1, 1)
    while (Atomics.load(ticket, 1) % 2 === 1) {}
    const records = steps.map((step) => {
      const key = 'key ' + step.key
      const read = []
      const began = process.hrtime.bigint()
      const from = Atomics.add(ticket, 0, 1)
      if (step.do === 'get') read.push(cache.get(key))
      else if (step.do === 'peek') read.push(cache.peek(key))
      else if (step.do === 'again') for (let time = 0; time < 30; time++) read.push(cache.get(key))
      else if (step.do === 'set') cache.set(key, { v: step.v }, { tags: ['tag ' + step.tag], ttl: step.ttl })
      else if (step.do === 'delete') cache.delete(key)
      else if (step.do === 'take') read.push(cache.take(key))
      else if (step.do === 'tag') cache.invalidateTag('tag ' + step.tag)
      else cache.clear()
      const to = Atomics.add(ticket, 0, 1)
      return { step, from, to, began, ended: process.hrtime.bigint(), read: read.map((value) => value?.v) }
    })
    const { nearHits } = cache.stats()
    cache.close()
    parentPort.postMessage({ records, nearHits })
  })
`

/** Whether a step ends what `written` put in, whatever else there is. */
function ends(step: Step, written: Step & { do: 'set' }): boolean {
  if (step.do === 'clear') return true
  if (step.do === 'tag') return step.tag === written.tag
  return (step.do === 'set' || step.do === 'delete' || step.do === 'take') && step.key === written.key
}

/** What is wrong with a history, if anything is. */
function violation(records: readonly Record[]): string | undefined {
  const writes = new Map<number, Record>()
  for (const record of records) if (record.step.do === 'set') writes.set(record.step.v, record)
  const changes = records.filter(({ step }) => !['get', 'peek', 'again'].includes(step.do))
  const reads = records.flatMap((record) => record.read.map((v) => ({ record, v })))
  /** By value, the first ticket by which some read of it had ended. */
  const seen = new Map<number, number>()
  for (const { record, v } of reads) {
    if (v !== undefined) seen.set(v, Math.min(seen.get(v) ?? Infinity, record.to))
  }
  for (const { record, v } of reads) {
    if (v === undefined) continue
    const write = writes.get(v)
    if (write === undefined) return `value ${v} was never written`
    const written = write.step as Step & { do: 'set' }
    if ('key' in record.step && record.step.key !== written.key) return `value ${v} is that of another key`
    if (write.from > record.to) return `value ${v} was read before it was written`
    for (const change of changes) {
      if (change === record || change === write || !ends(change.step, written) || change.from < write.to)
        continue
      if (change.to < record.from) return `${JSON.stringify(change.step)} had ended, and value ${v} was read`
      // What another reader has seen of a newer value nobody may miss any more.
      const newer = change.step.do === 'set' ? seen.get(change.step.v) : undefined
      if (newer !== undefined && newer < record.from)
        return `a newer value had been read, and value ${v} was read`
    }
    const expiry = write.ended + BigInt(written.ttl + 1) * 1_000_000n
    if (record.began > expiry) return `value ${v} had expired, and was read`
  }
  return undefined
}

describe.skipIf(withoutRust)('two threads with copies', () => {
  const shared = new SharedArrayBuffer(8)
  let workers: Worker[] = []

  beforeAll(() => {
    workers = [0, 1].map(() => new Worker(WORKER, { eval: true, workerData: { shared } }))
  })

  afterAll(async () => {
    await Promise.all(workers.map((worker) => worker.terminate()))
  })

  async function run(programs: readonly Step[][], entries: number) {
    const name = uniqueName()
    using cache = new Cache({ name, max: entries, near: false })
    const done = workers.map((worker) => once(worker, 'message'))
    for (const [at, worker] of workers.entries()) worker.postMessage({ name, steps: programs[at], entries })
    const answers = (await Promise.all(done)).map(
      ([answer]) => answer as { records: Record[]; nearHits: number },
    )
    const { hits, misses } = cache.stats()
    const records = answers.flatMap((answer) => answer.records)
    const counted = records.flatMap(({ step, read }) =>
      step.do === 'get' || step.do === 'again' ? read : [],
    )
    expect([hits, misses]).toEqual([
      counted.filter((v) => v !== undefined).length,
      counted.filter((v) => v === undefined).length,
    ])
    return { records, nearHits: Math.max(...answers.map((answer) => answer.nearHits)) }
  }

  const arbitrary = (ttls: fc.Arbitrary<number>) => {
    const key = fc.nat(2)
    const tag = fc.nat(1)
    const step: fc.Arbitrary<Step> = fc.oneof(
      { weight: 6, arbitrary: fc.record({ do: fc.constant('again' as const), key }) },
      { weight: 6, arbitrary: fc.record({ do: fc.constantFrom('get' as const, 'peek' as const), key }) },
      {
        weight: 6,
        arbitrary: fc.record({ do: fc.constant('set' as const), key, v: fc.constant(0), tag, ttl: ttls }),
      },
      { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('delete' as const, 'take' as const), key }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant('tag' as const), tag }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant('clear' as const) }) },
    )
    const program = fc.array(step, { minLength: 50, maxLength: 400 })
    return fc.tuple(program, program).map((programs) => {
      let v = 0
      return programs.map((steps) => steps.map((each) => (each.do === 'set' ? { ...each, v: ++v } : each)))
    })
  }

  it.each([
    ['nothing expires', fc.constant(600_000), 1_000],
    // Copies are given up a quarter of a second before they expire, so that some live longer than that.
    ['values expire', fc.oneof(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 251, max: 400 })), 1_000],
    ['entries are evicted', fc.constant(600_000), 2],
  ])(
    'read nothing that is older than what was acknowledged, when %s',
    async (_, ttls, entries) => {
      let [total, answered] = [0, 0]
      await fc.assert(
        fc.asyncProperty(arbitrary(ttls), async (programs) => {
          const { records, nearHits } = await run(programs, entries)
          expect(violation(records)).toBeUndefined()
          total += records.length
          answered += nearHits
        }),
        { numRuns: 60 },
      )
      expect(total).toBeGreaterThan(5_000)
      expect(answered, 'copies answered').toBeGreaterThan(1_000)
    },
    60_000,
  )

  it('find a violation where there is one', () => {
    const at = (step: Step, from: number, to: number, read: (number | undefined)[] = []): Record => {
      return { step, from, to, began: BigInt(from), ended: BigInt(to), read }
    }
    const one: Step = { do: 'set', key: 1, v: 1, tag: 0, ttl: 600_000 }
    const two: Step = { do: 'set', key: 1, v: 2, tag: 0, ttl: 600_000 }
    const get: Step = { do: 'get', key: 1 }
    expect(violation([at(one, 0, 1), at(two, 2, 3), at(get, 4, 5, [1])])).toMatch('had ended')
    expect(violation([at(one, 0, 1), at(two, 2, 9), at(get, 3, 4, [2]), at(get, 5, 6, [1])])).toMatch('newer')
    expect(violation([at(one, 0, 1), at({ do: 'clear' }, 2, 3), at(get, 4, 5, [1])])).toMatch('had ended')
    expect(violation([at(one, 0, 1), at(two, 2, 9), at(get, 3, 4, [1]), at(get, 5, 6, [2])])).toBeUndefined()
    expect(violation([{ ...at(get, 4, 5, [1]), began: 10n ** 12n }, at(one, 0, 1)])).toMatch('expired')
  })

  it('what is sure is so no longer than until the next change of another thread has ended', async () => {
    const name = uniqueName()
    using cache = new Cache<number>({ name })
    const turn = new Int32Array(new SharedArrayBuffer(4))
    const body = `
      const { workerData: { turn, rounds } } = require('node:worker_threads')
      const cache = new (require(${JSON.stringify(dist)}).Cache)({ name: ${JSON.stringify(name)}, near: false })
      const changes = [
        (round) => cache.set('k', round, { tags: ['t'] }),
        () => cache.delete('k'),
        () => cache.invalidateTag('t'),
        () => cache.touch('k', 0),
        () => cache.clear(),
      ]
      for (let round = 1; round <= rounds; round++) {
        while (Atomics.load(turn, 0) !== 2 * round - 1) {}
        changes[round % changes.length](round)
        Atomics.store(turn, 0, 2 * round)
      }`
    const rounds = 200
    const worker = new Worker(body, { eval: true, workerData: { turn, rounds } })
    const exited = once(worker, 'exit')
    for (let round = 1; round <= rounds; round++) {
      cache.set('k', -round, { tags: ['t'] })
      cache.set('other', round)
      for (let read = 0; read < 300; read++) expect(cache.get('k')).toBe(-round)
      Atomics.store(turn, 0, 2 * round - 1)
      while (Atomics.load(turn, 0) !== 2 * round) {
        // The thread beside makes its change.
      }
      const read = [cache.get('k'), cache.peek('k')]
      expect(read).toEqual(round % 5 === 0 ? [round, round] : [undefined, undefined])
      if (round === 100) await new Promise((resolve) => setTimeout(resolve, 120))
    }
    expect(cache.stats().nearHits).toBeGreaterThan(rounds * 250)
    await exited
  })

  it('a loop that does nothing but read sees the change of another thread', async () => {
    const name = uniqueName()
    using cache = new Cache<number>({ name })
    cache.set('k', 1)
    cache.set('tagged', 1, { tags: ['t'] })
    const body = `
      const { parentPort } = require('node:worker_threads')
      const cache = new (require(${JSON.stringify(dist)}).Cache)({ name: ${JSON.stringify(name)} })
      for (let read = 0; read < 200000; read++) cache.get('k') + cache.get('tagged')
      parentPort.postMessage('reading')
      let reads = 0
      while (cache.get('k') === 1) reads++
      while (cache.get('tagged') === 1) reads++
      parentPort.postMessage(reads)`
    const worker = new Worker(body, { eval: true })
    const exited = once(worker, 'exit')
    expect(await once(worker, 'message')).toEqual(['reading'])
    await new Promise((resolve) => setTimeout(resolve, 100))
    cache.set('k', 2)
    await new Promise((resolve) => setTimeout(resolve, 100))
    cache.invalidateTag('t')
    const [reads] = await once(worker, 'message')
    expect(reads).toBeGreaterThan(1_000)
    await exited
  })
})
