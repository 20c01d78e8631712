import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { freezeDeep } from '../../src/common/freeze.js'

function isFrozenDeep(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return true
  return Object.isFrozen(value) && Object.values(value).every(isFrozenDeep)
}

describe('freezeDeep', () => {
  it('freezes all of any JSON value', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 8 }), (value) => {
        const copy = JSON.parse(JSON.stringify(value))
        expect(freezeDeep(copy)).toBe(true)
        expect(isFrozenDeep(copy)).toBe(true)
        expect(JSON.stringify(copy)).toBe(JSON.stringify(value))
      }),
    )
  })

  it('freezes wide and deep values, shared parts and cycles', () => {
    const wide = Array.from({ length: 5_000 }, (_, n) => ({ n, inner: [n] }))
    let deep: unknown = []
    for (let level = 0; level < 20_000; level++) deep = [deep]
    const cycle: Record<string, unknown> = { wide }
    cycle.self = cycle
    expect(freezeDeep(cycle)).toBe(true)
    expect(Object.isFrozen(wide[4_999]?.inner)).toBe(true)
    expect(freezeDeep(deep)).toBe(true)
    expect(Object.isFrozen(deep)).toBe(true)
  })

  it.each([
    ['a Map', { a: { b: new Map() } }],
    ['a Date', [new Date(0)]],
    ['bytes', { bytes: new Uint8Array(1) }],
    ['a class', new (class Point {})()],
  ])('freezes nothing of a value with %s', (_, value) => {
    expect(freezeDeep(value)).toBe(false)
    expect(Object.isFrozen(value)).toBe(false)
  })
})
