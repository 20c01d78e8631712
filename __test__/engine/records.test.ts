import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Engine } from '../../src/engine/engine.js'
import { openEngine } from '../../src/engine/open.js'
import { mostBytes, readRecord, writeRecord } from '../../src/engine/records.js'
import { engines, withoutRust } from '../support/engines.js'

const text = fc.oneof(
  fc.string(),
  fc.string({ unit: 'binary' }),
  fc.constantFrom('', '\ud800', 'é', 'é\u0100'),
)
const value = fc.oneof(text, fc.uint8Array())
const ttl = fc.constantFrom(1, 60_000, 2 ** 40, Number.POSITIVE_INFINITY)
const tags = fc.constantFrom(
  undefined,
  ['a'],
  ['a', 'b'],
  ['a', 'a'],
  Array.from({ length: 20 }, (_, n) => `t${n}`),
)
const entries = fc.array(fc.tuple(text, value, ttl, tags), { maxLength: 8 })

const clock = { now: () => 5_000 }

function open(kind: 'rust' | 'js', max?: number): Engine {
  return openEngine({ clock, max }, kind)
}

/** All records of an engine, each by itself. */
function recordsOf(engine: Engine): Buffer[] {
  const slices = [...engine.toRecords(Number.POSITIVE_INFINITY)]
  const bytes = Buffer.concat(slices.map((slice) => slice.bytes))
  const found: Buffer[] = []
  for (let at = 0; at < bytes.length; ) {
    const end = readRecord(bytes, at)?.end ?? Number.NaN
    found.push(bytes.subarray(at, end))
    at = end
  }
  expect(found.length).toBe(slices.reduce((sum, { count }) => sum + count, 0))
  return found.sort(Buffer.compare)
}

describe('records', () => {
  it('are read as they were written', () => {
    fc.assert(
      fc.property(text, value, ttl, fc.nat(128), (key, value, left, tags) => {
        const record = { key, value, left, tags }
        const bytes = Buffer.alloc(mostBytes(record) + 3, 0xff)
        const end = writeRecord(bytes, 3, record)
        expect(readRecord(bytes.subarray(0, end), 3)).toEqual({ record, end })
        for (let cut = 3; cut < end; cut++) expect(readRecord(bytes.subarray(0, cut), 3)).toBeUndefined()
      }),
    )
  })

  it.skipIf(withoutRust)('are the same bytes on both engines', () => {
    fc.assert(
      fc.property(entries, (entries) => {
        const [rust, js] = [open('rust'), open('js')]
        for (const engine of [rust, js]) {
          for (const [key, value, ttl, tags] of entries) engine.set(key, value, ttl, undefined, tags)
        }
        expect(recordsOf(rust)).toEqual(recordsOf(js))
        rust.close()
        js.close()
      }),
    )
  })

  it.skipIf(withoutRust)('that are none are none on both engines, and change nothing', () => {
    const record = { key: 'key', value: 'value', left: 100, tags: 0 }
    const whole = Buffer.alloc(mostBytes(record))
    const good = whole.subarray(0, writeRecord(whole, 0, record))
    const damaged = fc
      .array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { maxLength: 3 })
      .map((changes) => {
        const bytes = Buffer.concat([good, good])
        for (const [at, byte] of changes) bytes[at] = byte
        return bytes
      })
    fc.assert(
      fc.property(
        fc.oneof(damaged, fc.uint8Array({ maxLength: 60 })),
        fc.nat(120),
        fc.nat(3),
        (bytes, age, room) => {
          const results = (['rust', 'js'] as const).map((kind) => {
            const engine = open(kind)
            const result = engine.fromRecords(bytes, age, engine.fence(), room, 5)
            const held = [...engine.keys()]
              .sort()
              .map((key) => [key, engine.peek(key), engine.remainingTtl(key)])
            engine.close()
            return [result, held]
          })
          expect(results[0]).toEqual(results[1])
        },
      ),
      { numRuns: 1_000 },
    )
  })
})

describe.each(engines)('the records of the %s engine', (kind) => {
  it('are stored only where there is nothing, nothing changed, and there is room', () => {
    const from = open(kind)
    for (let n = 0; n < 1_000; n++) from.set(`${n}`, `value ${n}`, 1_000)
    from.set('tagged', 'x', undefined, undefined, ['t'])
    const bytes = Buffer.concat([...from.toRecords(Number.POSITIVE_INFINITY)].map((slice) => slice.bytes))
    expect([...from.toRecords(10)].reduce((sum, { count }) => sum + count, 0)).toBe(10)
    const to = open(kind, 2_000)
    to.set('1', 'mine')
    const fence = to.fence()
    to.set('2', 'gone')
    to.delete('2')
    const none = { expired: 0, tooLarge: 0, read: bytes.length, tagged: 1 }
    const first = to.fromRecords(bytes, 100, fence, 500, 5_000)
    expect(first).toMatchObject({ ...none, stored: 500 })
    expect(first.present + first.fenced + first.noRoom).toBe(500)
    const rest = to.fromRecords(bytes, 100, fence, 5_000, 5_000)
    // A few of those that share a number with the key that changed may be refused with it.
    expect(rest).toMatchObject({ ...none, present: 501, noRoom: 0 })
    expect(rest.fenced).toBeGreaterThanOrEqual(1)
    expect(rest.stored + rest.fenced).toBe(499)
    expect(rest.fenced).toBeLessThan(20)
    const keys = [...to.keys()].filter((key) => key !== '1')
    expect([to.peek('1'), to.peek('2'), keys.length]).toEqual(['mine', undefined, 500 + rest.stored])
    for (const key of keys) expect([to.peek(key), to.remainingTtl(key)]).toEqual([`value ${key}`, 900])
    expect(to.fromRecords(bytes, 1_000, fence, 5_000, 5_000)).toMatchObject({ expired: 1_000, stored: 0 })
    expect(to.fromRecords(bytes, 0, fence, 5_000, 10).read).toBeLessThan(bytes.length)
  })

  it('are walked with the hottest having the most uses', () => {
    const engine = open(kind)
    for (let n = 0; n < 600; n++) engine.set(`${n}`, 'x')
    for (const key of ['7', '300', '5']) engine.get(key)
    engine.delete('8')
    const all = [...engine.walk()].flat()
    expect(all.length).toBe(599)
    expect(new Set(all.map(({ key }) => key)).size).toBe(599)
    const hottest = all.toSorted((a, b) => b.uses - a.uses).map(({ key }) => key)
    expect(hottest.slice(0, 3)).toEqual(['5', '300', '7'])
    expect(hottest.at(-1)).toBe('0')
  })
})

it('has no narrow key in the wide form, under which nobody would look', () => {
  const bytes = Buffer.from([9, 2, 0, 0, 0, 0, 0, 0, 0, 0x61, 0])
  expect(readRecord(bytes, 0)).toBeUndefined()
  for (const kind of engines) {
    const engine = open(kind)
    expect(engine.fromRecords(bytes, 0, engine.fence(), 5, 5)).toMatchObject({ read: -1, stored: 0 })
    engine.close()
  }
})
