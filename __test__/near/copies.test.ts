import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { NativeEngine } from '../../src/engine/native/engine.js'
import { binding } from '../../src/engine/native/load.js'
import type { Stored } from '../../src/engine/stored.js'
import type { NativeNearCache } from '../../src/near/native.js'
import { openNear } from '../../src/near/open.js'
import { sleep, withoutRust } from '../support/engines.js'

describe.skipIf(withoutRust)('the copies of a thread', () => {
  function setup(entries: number, options = {}) {
    const native = binding().binding
    if (native === undefined) throw new Error('there is no native engine')
    const engine = NativeEngine.open(native, { max: entries })
    let decoded = 0
    const near = openNear<{ n: number }>(engine, options, (stored: Stored) => {
      decoded++
      return JSON.parse(stored as string)
    }) as NativeNearCache<{ n: number }>
    return { engine, near, decoded: () => decoded }
  }

  it('are bounded by number and by bytes, and those in use stay', () => {
    const { engine, near, decoded } = setup(10_000, { max: 100, maxSize: 3_000 })
    for (let key = 0; key < 2_000; key++)
      engine.set(`${key}`, JSON.stringify({ n: key, text: 'x'.repeat(key % 50) }))
    for (let key = 0; key < 2_000; key++) {
      expect([near.get(`${key}`)?.n, near.get(`${key}`)?.n]).toEqual([key, key])
      expect(near.get('7')?.n).toBe(7)
      expect(near.kept.count).toBeLessThanOrEqual(100)
      expect(near.kept.bytes).toBeLessThanOrEqual(3_000)
    }
    expect(decoded()).toBeLessThan(4_010)
    near.clear()
    expect(near.kept).toEqual({ count: 0, bytes: 0 })
    engine.close()
  })

  it('do not decode again what only shares a group of keys or sees a foreign tag', () => {
    const { engine, near, decoded } = setup(10)
    engine.set('k', '{"n":1}', undefined, undefined, ['t'])
    const first = near.get('k')
    expect(near.get('k')).toBe(first)
    for (let write = 0; write < 20_000; write++) engine.set(`${write}`, '{}')
    engine.set('k', '{"n":1}', undefined, undefined, ['t'])
    const again = near.get('k')
    expect(again).not.toBe(first)
    engine.invalidateTag('u')
    expect(near.get('k')).toBe(again)
    expect(decoded()).toBe(2)
    engine.close()
  })

  it('are made at the second read of a value whose last copy was not read again', () => {
    const { engine, near, decoded } = setup(1_000)
    const write = (n: number) => {
      near.beforeWrite()
      engine.set('k', JSON.stringify({ n }))
      near.wrote('k')
    }
    write(0)
    const first = near.get('k')
    for (let n = 1; n < 4; n++) {
      write(n)
      const [own, kept, again] = [near.get('k'), near.get('k'), near.get('k')]
      expect([own, kept]).toEqual([{ n }, { n }])
      // The first is the caller's own the first time, and is shared as soon as copies turn out to be read again.
      expect([own === kept, Object.isFrozen(own)]).toEqual([n > 1, n > 1])
      expect(again).toBe(kept)
    }
    expect([first, Object.isFrozen(first), decoded()]).toEqual([{ n: 0 }, true, 5])
    engine.close()
  })

  it('hand on what a load has decoded, if it is still what is stored', () => {
    const { engine, near, decoded } = setup(1_000)
    const value = Object.freeze({ n: 1 })
    engine.set('k', '{"n":1}')
    near.loaded('k', '{"n":1}', value)
    expect([near.get('k'), near.get('k')]).toEqual([value, value])
    expect([near.get('k') === value, decoded()]).toEqual([true, 0])
    engine.set('k', '{"n":2}')
    near.loaded('k', '{"n":1}', value)
    expect([near.get('k'), near.get('k')]).toEqual([{ n: 2 }, { n: 2 }])
    engine.close()
  })

  it('do not keep what is larger than all of them may be', () => {
    const { engine, near } = setup(10, { maxSize: 150 })
    engine.set('k', JSON.stringify({ n: 1, text: 'x'.repeat(100) }))
    expect(near.get('k')?.n).toBe(1)
    expect(near.kept).toEqual({ count: 0, bytes: 0 })
    engine.set('k', '{"n":2}')
    expect([near.get('k')?.n, near.kept.count]).toEqual([2, 1])
    engine.set('k', JSON.stringify({ n: 3, text: 'x'.repeat(100) }))
    expect([near.get('k')?.n, near.kept.count]).toEqual([3, 0])
    engine.close()
  })

  it('report their hits after a while, exactly', async () => {
    const { engine, near } = setup(100_000)
    engine.set('k', '{"n":1}')
    for (let read = 0; read < 5_000; read++) near.get('k')
    await sleep(250)
    expect(engine.stats()).toMatchObject({ hits: 5_000, nearHits: 4_999 })
    near.get('k')
    near.flush()
    near.flush()
    expect(engine.stats()).toMatchObject({ hits: 5_001, nearHits: 5_000 })
    near.clear()
    engine.close()
  })

  it('see what the thread itself wrote, and what came between', () => {
    const { engine, near } = setup(1_000)
    const read = (key: string) => {
      for (let time = 0; time < 100; time++) near.get(key)
      return near.get(key)?.n
    }
    const write = (key: string, n: number, meanwhile = () => {}) => {
      near.beforeWrite()
      engine.set(key, JSON.stringify({ n }))
      meanwhile()
      near.wrote(key)
    }
    for (let n = 1; n <= 100; n++) {
      write('k', n)
      expect(near.get('k')?.n).toBe(n)
      expect([read('k'), read('j')]).toEqual([n, n === 1 ? undefined : n - 1])
      write('j', n)
      expect([near.peek('j')?.n, near.get('j')?.n, read('j'), read('k')]).toEqual([n, n, n, n])
      write('i', n, () => engine.set('k', JSON.stringify({ n: -n })))
      expect([near.peek('k')?.n, near.get('k')?.n]).toEqual([-n, -n])
      expect(read('k')).toBe(-n)
      write('i', n, () => engine.delete('j'))
      expect([near.peek('j'), near.get('j')]).toEqual([undefined, undefined])
      engine.set('j', JSON.stringify({ n }))
    }
    engine.close()
  })

  it('agree with the engine after any operations, whatever their bounds', () => {
    const key = fc.integer({ min: 0, max: 12 }).map((n) => `key ${n}`)
    const op = fc.oneof(
      { weight: 6, arbitrary: fc.record({ type: fc.constant('get' as const), key }) },
      { weight: 6, arbitrary: fc.record({ type: fc.constant('again' as const), key }) },
      { weight: 2, arbitrary: fc.record({ type: fc.constant('peek' as const), key }) },
      {
        weight: 3,
        arbitrary: fc.record({
          type: fc.constant('set' as const),
          key,
          size: fc.nat(40),
          tag: fc.nat(3),
          isOwn: fc.boolean(),
          meanwhile: fc.option(key),
        }),
      },
      { weight: 1, arbitrary: fc.record({ type: fc.constant('delete' as const), key }) },
      { weight: 1, arbitrary: fc.record({ type: fc.constant('tag' as const), tag: fc.nat(3) }) },
      { weight: 1, arbitrary: fc.record({ type: fc.constant('clear' as const) }) },
    )
    const bounds = fc.record({
      max: fc.integer({ min: 1, max: 20 }),
      maxSize: fc.integer({ min: 1, max: 1_500 }),
    })
    fc.assert(
      fc.property(
        fc.array(op, { maxLength: 200 }),
        bounds,
        // Where the order of reads is exact, nothing is sure.
        fc.oneof(fc.integer({ min: 1, max: 14 }), fc.constant(1_000)),
        (ops, near, entries) => {
          const { engine, near: copies } = setup(entries, near)
          let [number, reads] = [0, 0]
          for (const step of ops) {
            if (step.type === 'get' || step.type === 'peek') {
              const direct = engine.peek(step.key)
              const value = copies[step.type](step.key)
              expect(JSON.stringify(value)).toBe(direct)
              if (step.type === 'get') reads++
            } else if (step.type === 'again') {
              const direct = engine.peek(step.key)
              for (let read = 0; read < 20; read++) {
                expect(JSON.stringify(copies.get(step.key))).toBe(direct)
                reads++
              }
            } else if (step.type === 'set') {
              const text = JSON.stringify({ n: number++, text: 'x'.repeat(step.size) })
              copies.beforeWrite()
              engine.set(step.key, text, undefined, undefined, [`${step.tag}`])
              // What another thread may write before this one says what it wrote.
              if (step.meanwhile !== null) engine.set(step.meanwhile, JSON.stringify({ n: number++ }))
              if (step.isOwn) copies.wrote(step.key)
            } else if (step.type === 'delete') engine.delete(step.key)
            else if (step.type === 'tag') engine.invalidateTag(`${step.tag}`)
            else if (number % 2 === 0) copies.clear()
            else engine.clear()
            expect(copies.kept.count).toBeLessThanOrEqual(near.max)
            expect(copies.kept.bytes).toBeLessThanOrEqual(near.maxSize)
          }
          copies.flush()
          const { hits, misses } = engine.stats()
          expect(hits + misses).toBe(reads)
          engine.close()
        },
      ),
      { numRuns: 300 },
    )
  })
})
