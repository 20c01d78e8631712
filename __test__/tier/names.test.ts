import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { checkNamespace, keysOf, wireName } from '../../src/tier/names.js'

const hashOf = (name: string) =>
  `~${createHash('sha256').update(Buffer.from(name, 'utf16le')).digest().subarray(0, 16).toString('base64url')}`

const anyText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 80 }),
  fc.array(fc.nat(0xffff), { maxLength: 80 }).map((units) => String.fromCharCode(...units)),
  fc.string({ unit: 'grapheme-ascii', minLength: 50, maxLength: 80 }),
)

describe('a name on the wire', () => {
  it.each(['', 'a', 'user:1', 'ü'.repeat(32), 'a'.repeat(64), '€'.repeat(21), '😀'.repeat(16), 'a~'])(
    'is the name: %j',
    (name) => expect(wireName(name)).toBe(name),
  )

  it.each(['a'.repeat(65), 'ü'.repeat(33), '€'.repeat(22), '~', '~a', '\ud800', `${'a'.repeat(40)}\udc00`])(
    'is a hash: %j',
    (name) => {
      expect(wireName(name)).toBe(hashOf(name))
      expect(wireName(name)).toHaveLength(23)
      expect(wireName(name)).toBe(hashOf(name))
    },
  )

  it('is short, is Unicode, and is another for another name', () => {
    const seen = new Map<string, string>()
    fc.assert(
      fc.property(anyText, (name) => {
        const wire = wireName(name)
        expect(Buffer.byteLength(wire)).toBeLessThanOrEqual(64)
        expect(Buffer.from(wire).toString()).toBe(wire)
        expect(seen.get(wire) ?? name).toBe(name)
        seen.set(wire, name)
        // Hashed names are no names of others.
        if (wire !== name) expect(wireName(wire)).not.toBe(wire)
      }),
      { numRuns: 2000 },
    )
  })

  it('is the same for more names than are remembered', () => {
    const names = Array.from({ length: 10_000 }, (_, at) => `${'x'.repeat(100)}${at}`)
    const first = names.map(wireName)
    expect(names.map(wireName)).toEqual(first)
    expect(new Set(first).size).toBe(names.length)
    const huge = 'y'.repeat(1_000_000)
    expect(wireName(huge)).toBe(hashOf(huge))
  })
})

describe('a namespace', () => {
  it('has keys that are all in one slot', () => {
    expect(keysOf('app-1.x:y_Z')).toEqual({
      newer: '{sc1:app-1.x:y_Z}:v',
      older: '{sc1:app-1.x:y_Z}:w',
      log: '{sc1:app-1.x:y_Z}:l',
      entry: '{sc1:app-1.x:y_Z}:e:',
      lease: '{sc1:app-1.x:y_Z}:q:',
    })
  })

  it.each(['a', 'app-1.x:y_Z'])('may be %j', (name) => expect(checkNamespace(name)).toBeUndefined())

  it.each(['', ' ', 'a b', 'a}', '{a', 'ü', 'a\n', 'a/b', '*'])('may not be %j', (name) => {
    expect(() => checkNamespace(name)).toThrow(expect.objectContaining({ code: 'ERR_OUT_OF_RANGE' }))
  })

  it.each([undefined, null, 1, {}])('may not be %j', (name) => {
    expect(() => checkNamespace(name)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }))
  })
})
