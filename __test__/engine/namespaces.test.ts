import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Engine } from '../../src/engine/engine.js'
import { ENTRY_OVERHEAD } from '../../src/engine/limits.js'
import { openEngine } from '../../src/engine/open.js'
import { openNear } from '../../src/near/open.js'
import { engines, sleep, thrown, uniqueName } from '../support/engines.js'

const decode = (stored: unknown) => JSON.parse(stored as string) as unknown

/** Three tags that share no stripe of the version table, which would cost one the entries of another. */
function tagsApart(engine: Engine): string[] {
  const fence = engine.fence()
  const tags: string[] = []
  for (let number = 0; tags.length < 3; number++) {
    const tag = `t${number}`
    if (!engine.permits('probe', fence, [tag])) continue
    tags.push(tag)
    engine.invalidateTag(tag)
  }
  return tags
}

describe.each(engines)('a namespace on the %s engine', (kind) => {
  const open = (max = 1_000, name?: string): Engine => openEngine({ max, name }, kind)

  it('is one by its name, and apart from the root and from the others', () => {
    const root = open()
    const [a, same, b] = ['a', 'a', 'b'].map((name) => root.namespace(name)) as [Engine, Engine, Engine]
    root.set('k', 'root')
    a.set('k', 'a')
    b.set('k', 'b')
    expect([root, a, same, b].map((engine) => engine.get('k'))).toEqual(['root', 'a', 'a', 'b'])
    expect(a.namespace('b').get('k')).toBe('b')
    expect(a).toMatchObject({ kind, settings: root.settings, format: root.format })
    expect(a.delete('k')).toBe(true)
    expect([root, a, same, b].map((engine) => engine.has('k'))).toEqual([true, false, false, true])
    root.close()
  })

  it('has keys of its own, whatever characters they have', () => {
    const text = fc.string({
      unit: fc.constantFrom('\0', '0', '1', '2', ':', 'a', '\xff', 'ж', '\ud800'),
      maxLength: 6,
    })
    fc.assert(
      fc.property(
        fc.uniqueArray(text, { minLength: 1, maxLength: 3 }),
        fc.array(text, { maxLength: 8 }),
        (names, keys) => {
          const root = open()
          const all = [root, ...names.map((name) => root.namespace(name))]
          const expected = all.map(() => new Map<string, string>())
          for (const [at, key] of keys.entries()) {
            for (const [place, engine] of all.entries()) {
              if ((at + place) % 3 === 0) continue
              engine.set(key, `${place} ${key}`)
              expected[place]?.set(key, `${place} ${key}`)
            }
          }
          for (const [place, engine] of all.entries()) {
            const own = expected[place] as Map<string, string>
            for (const key of keys) expect(engine.get(key)).toBe(own.get(key))
            expect([...engine.keys()].sort()).toEqual([...own.keys()].sort())
            if (place > 0) expect(engine.size()).toBe(own.size)
          }
          expect(root.size()).toBe(expected.reduce((sum, own) => sum + own.size, 0))
          root.close()
        },
      ),
      { numRuns: 300 },
    )
  })

  it('is meant by every call', async () => {
    const root = open()
    const a = root.namespace('a')
    expect(a.setMany(['1', '2'], ['one', 'two'], 50)).toEqual([1, 1])
    expect(a.getMany(['1', '2', '3'])).toEqual(['one', 'two', undefined])
    expect(root.getMany(['1', '2'])).toEqual([undefined, undefined])
    expect([root.hasMany(['1']), a.hasMany(['1'])]).toEqual([[false], [true]])
    expect([root.peek('1'), a.peek('1'), root.take('1')]).toEqual([undefined, 'one', undefined])
    expect([root.remainingTtl('1'), a.remainingTtl('1') > 0]).toEqual([0, true])
    expect([root.isDue('1', 1), a.isDue('1', 1)]).toEqual([false, true])
    a.set('stale', 'old', 1, undefined, undefined, 60_000)
    await sleep(10)
    expect([root.getStale('stale'), a.getStale('stale')?.[0]]).toEqual([undefined, 'old'])
    const [lease] = a.claim('1', 1_000) as [number, number]
    expect([a.claim('1', 1_000), root.claim('1', 1_000)?.length]).toEqual([undefined, 2])
    expect([root.leases(), a.leases(), root.namespace('b').leases()]).toEqual([2, 1, 0])
    expect([root.settle('1', lease), a.settle('1', lease)]).toEqual([false, true])
    const fence = a.fence()
    root.delete('2')
    expect([root.permits('2', fence), root.fence() > fence]).toEqual([false, true])
    expect([root.deleteMany(['2']), a.take('2'), a.deleteMany(['1', '2'])]).toEqual([
      [false],
      'two',
      [true, false],
    ])
    root.close()
  })

  it('is emptied alone, with all that is loaded meanwhile', () => {
    const root = open()
    const [a, b] = ['a', 'b'].map((name) => root.namespace(name)) as [Engine, Engine]
    for (const engine of [root, a, b]) engine.set('k', 'v')
    const near = openNear(a, {}, decode)
    a.set('near', '{"v":1}')
    expect(near.get('near')).toEqual({ v: 1 })
    expect(near.get('near')).toEqual({ v: 1 })
    const fence = root.fence()
    a.claim('load', 10_000)
    a.clear()
    expect([a.size(), a.bytes(), [...a.keys()]]).toEqual([0, 0, []])
    expect([near.get('near'), near.peek('near'), a.get('k')]).toEqual([undefined, undefined, undefined])
    expect([a, b, root].map((engine) => engine.permits('new', fence))).toEqual([false, true, true])
    expect(a.set('new', 'v', undefined, fence)).toBe(-2)
    expect(b.set('new', 'v', undefined, fence)).toBe(1)
    expect(a.claim('load', 10_000)).toBeDefined()
    expect([root.get('k'), b.get('k')]).toEqual(['v', 'v'])
    a.set('k', 'again')
    expect([a.get('k'), a.size(), a.bytes()]).toEqual(['again', 1, 6 + 4 + ENTRY_OVERHEAD])
    root.clear()
    expect([root, a, b].map((engine) => engine.size())).toEqual([0, 0, 0])
    expect([root, a, b].map((engine) => engine.bytes())).toEqual([0, 0, 0])
    root.close()
  })

  it('counts for itself what happens to its values', () => {
    const root = open(3)
    const [a, b] = ['a', 'b'].map((name) => root.namespace(name)) as [Engine, Engine]
    for (const key of ['1', '2', '3']) a.set(key, 'v', undefined, undefined, key === '2' ? ['2'] : undefined)
    const near = openNear(b, {}, decode)
    b.set('n', '{}')
    for (let read = 0; read < 5; read++) near.get('n')
    near.flush()
    root.invalidateTag('2')
    expect([a.get('2'), a.get('3'), root.get('3')]).toEqual([undefined, 'v', undefined])
    a.delete('3')
    expect(a.stats()).toMatchObject({
      sets: 3,
      evictionsByMax: 1,
      invalidations: 1,
      hits: 1,
      misses: 1,
      deletes: 1,
    })
    expect(b.stats()).toMatchObject({ sets: 1, evictionsByMax: 0, hits: 5, nearHits: 4, misses: 0 })
    expect(root.stats()).toMatchObject({ sets: 4, hits: 6, misses: 2, nearHits: 4, deletes: 1 })
    expect([a.size(), a.bytes(), b.size(), root.size()]).toEqual([0, 0, 1, 1])
    b.clear()
    expect([b.stats().cleared, root.stats().cleared]).toEqual([1, 1])
    // What is left in memory was counted.
    b.set('n', '{}')
    root.clear()
    expect([b.stats().cleared, root.stats().cleared]).toEqual([2, 2])
    b.resetStats()
    expect(Object.values(b.stats()).every((count) => count === 0)).toBe(true)
    expect(root.stats().sets).toBe(5)
    root.close()
  })

  it('does what a model does, with room for all or little', () => {
    const key = fc.constantFrom('x', 'y', 'z', '\0x')
    const place = fc.nat(2)
    const op = fc.oneof(
      {
        weight: 6,
        arbitrary: fc.record({ op: fc.constant('set' as const), place, key, length: fc.nat(50) }),
      },
      {
        weight: 4,
        arbitrary: fc.record({ op: fc.constantFrom('get' as const, 'delete' as const), place, key }),
      },
      { weight: 1, arbitrary: fc.record({ op: fc.constant('clear' as const), place }) },
      { weight: 1, arbitrary: fc.record({ op: fc.constant('invalidate' as const), tag: place }) },
    )
    fc.assert(
      fc.property(fc.constantFrom(3, 100), fc.array(op, { maxLength: 60 }), (max, ops) => {
        const root = open(max)
        const all = [root, root.namespace('a'), root.namespace('b')] as const
        const tags = tagsApart(root)
        const model = all.map(() => new Map<string, string>())
        for (const each of ops) {
          if (each.op === 'set') {
            const value = 'v'.repeat(each.length)
            all[each.place]?.set(each.key, value, undefined, undefined, [tags[each.length % 3] as string])
            model[each.place]?.set(each.key, value)
          } else if (each.op === 'clear') {
            all[each.place]?.clear()
            for (const [at, own] of model.entries()) if (each.place === 0 || at === each.place) own.clear()
            if (each.place === 0) expect([root.size(), root.bytes()]).toEqual([0, 0])
            expect([all[each.place]?.size(), all[each.place]?.bytes()]).toEqual([0, 0])
          } else if (each.op === 'invalidate') {
            root.invalidateTag(tags[each.tag] as string)
            for (const own of model) {
              for (const [name, value] of own) if (value.length % 3 === each.tag) own.delete(name)
            }
          } else if (each.op === 'delete') {
            const there = all[each.place]?.delete(each.key)
            const expected = model[each.place]?.delete(each.key)
            if (max === 100 || there) expect(there).toBe(expected)
          } else {
            const found = all[each.place]?.get(each.key)
            if (max === 100 || found !== undefined) expect(found).toBe(model[each.place]?.get(each.key))
          }
          // What cannot be read is in the counts until it is come upon.
          for (const [at, own] of model.entries()) {
            for (const name of ['x', 'y', 'z', '\0x']) all[at]?.peek(name)
            if (max === 100 && at > 0) {
              expect(all[at]?.size()).toBe(own.size)
              const bytes = [...own].map(
                ([name, value]) => name.length + value.length + 4 * 3 + ENTRY_OVERHEAD,
              )
              expect(all[at]?.bytes()).toBe(bytes.reduce((sum, one) => sum + one, 0))
            }
          }
          expect((all[1]?.size() ?? 0) + (all[2]?.size() ?? 0)).toBeLessThanOrEqual(root.size())
        }
        root.close()
      }),
      { numRuns: 300 },
    )
  })

  it('ends with itself, or with the engine that it was made from', () => {
    const name = uniqueName()
    const [root, other] = [open(10, name), open(10, name)]
    const [a, b] = [root.namespace('a'), root.namespace('b')]
    const elsewhere = other.namespace('a')
    a.set('k', 'v')
    a.close()
    a.close()
    expect(thrown(() => a.get('k'))).toMatchObject({ code: 'ERR_CACHE_CLOSED' })
    expect(thrown(() => a.namespace('c'))).toMatchObject({ code: 'ERR_CACHE_CLOSED' })
    expect([elsewhere.get('k'), root.size(), b.size()]).toEqual(['v', 1, 0])
    root.close()
    expect(thrown(() => b.size())).toMatchObject({ code: 'ERR_CACHE_CLOSED' })
    expect(thrown(() => root.namespace('b'))).toMatchObject({ code: 'ERR_CACHE_CLOSED' })
    expect(elsewhere.get('k')).toBe('v')
    other.close()
    const again = open(10, name)
    expect([again.size(), again.namespace('a').get('k')]).toEqual([0, undefined])
    again.close()
  })

  it('is one of 65 535 at the most', () => {
    const root = open()
    for (let number = 0; number < 65_535; number++) root.namespace(`${number}`).close()
    expect(thrown(() => root.namespace('more'))).toMatchObject({
      name: 'RangeError',
      code: 'ERR_OUT_OF_RANGE',
    })
    expect(root.namespace('65534').set('k', 'v')).toBe(1)
    root.close()
  })
})
