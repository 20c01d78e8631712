import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Cache } from '../../src/index.js'
import { engines } from '../support/engines.js'

type Op =
  | { op: 'get' | 'peek' | 'has' | 'delete' | 'take'; key: string }
  | { op: 'set'; key: string; length: number }
  | { op: 'getMany' | 'deleteMany'; keys: string[] }
  | { op: 'setMany'; entries: { key: string; length: number }[] }
  | { op: 'clear' }

const key = fc.constantFrom(...'abcdefghijklmn')
const length = fc.nat(40)

const op: fc.Arbitrary<Op> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ op: fc.constantFrom('get', 'peek', 'has', 'delete', 'take'), key }) },
  { weight: 6, arbitrary: fc.record({ op: fc.constant('set' as const), key, length }) },
  fc.record({ op: fc.constantFrom('getMany', 'deleteMany'), keys: fc.array(key, { maxLength: 6 }) }),
  fc.record({
    op: fc.constant('setMany' as const),
    entries: fc.array(fc.record({ key, length }), { maxLength: 6 }),
  }),
  { weight: 1, arbitrary: fc.constant({ op: 'clear' as const }) },
)

const OVERHEAD = 96

/** An LRU map so simple that it is plainly right: a `Map` keeps the order of its keys. */
class Model {
  readonly entries = new Map<string, string>()
  readonly #max: number
  readonly #maxSize: number

  constructor(max: number, maxSize: number) {
    this.#max = max
    this.#maxSize = maxSize
  }

  size(value: string): number {
    return 1 + JSON.stringify(value).length + OVERHEAD
  }

  get bytes(): number {
    return [...this.entries.values()].reduce((sum, value) => sum + this.size(value), 0)
  }

  get(name: string): string | undefined {
    const value = this.entries.get(name)
    if (value !== undefined) {
      this.entries.delete(name)
      this.entries.set(name, value)
    }
    return value
  }

  set(name: string, value: string): boolean {
    this.entries.delete(name)
    if (this.size(value) > this.#maxSize) return false
    while (this.entries.size >= this.#max || this.bytes + this.size(value) > this.#maxSize) {
      this.entries.delete(this.entries.keys().next().value as string)
    }
    this.entries.set(name, value)
    return true
  }

  take(name: string): string | undefined {
    const value = this.entries.get(name)
    this.entries.delete(name)
    return value
  }
}

describe.each(engines)('Cache on the %s engine', (engine) => {
  it('does what a plain LRU map does, victims included', () => {
    const bounds = fc.record({
      max: fc.integer({ min: 1, max: 8 }),
      maxSize: fc.integer({ min: 120, max: 1_000 }),
    })
    fc.assert(
      fc.property(bounds, fc.array(op, { maxLength: 120 }), ({ max, maxSize }, ops) => {
        using cache = new Cache<string>({ engine, max, maxSize })
        const model = new Model(max, maxSize)
        for (const step of ops) {
          switch (step.op) {
            case 'get':
              expect(cache.get(step.key)).toBe(model.get(step.key))
              break
            case 'peek':
              expect(cache.peek(step.key)).toBe(model.entries.get(step.key))
              break
            case 'has':
              expect(cache.has(step.key)).toBe(model.entries.has(step.key))
              break
            case 'delete':
              expect(cache.delete(step.key)).toBe(model.take(step.key) !== undefined)
              break
            case 'take':
              expect(cache.take(step.key)).toBe(model.take(step.key))
              break
            case 'set': {
              const value = 'v'.repeat(step.length)
              expect(cache.set(step.key, value)).toBe(model.set(step.key, value))
              break
            }
            case 'getMany':
              expect(cache.getMany(step.keys)).toEqual(step.keys.map((name) => model.get(name)))
              break
            case 'deleteMany':
              expect(cache.deleteMany(step.keys)).toEqual(
                step.keys.map((name) => model.take(name) !== undefined),
              )
              break
            case 'setMany': {
              const entries = step.entries.map((entry) => ({
                key: entry.key,
                value: 'w'.repeat(entry.length),
              }))
              expect(cache.setMany(entries)).toEqual(
                entries.map((entry) => model.set(entry.key, entry.value)),
              )
              break
            }
            case 'clear':
              cache.clear()
              model.entries.clear()
          }
          expect([...cache].sort()).toEqual([...model.entries].sort())
          expect(cache.size).toBe(model.entries.size)
          expect(cache.bytes).toBe(model.bytes)
        }
      }),
      { numRuns: 200 },
    )
  })
})
