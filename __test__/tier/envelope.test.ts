import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { json, lenientJson } from '../../src/serializer/json.js'
import { v8 } from '../../src/serializer/v8.js'
import { decodeEntry, encodeEntry, payloadOf, storedOf } from '../../src/tier/envelope.js'

const number = fc.maxSafeNat()
const tag = fc.string({ unit: 'binary', minLength: 1, maxLength: 16 })
const entry = fc.record({
  at: fc.tuple(number, number),
  encoding: fc.nat(255),
  ttl: number,
  grace: number,
  tags: fc.array(tag, { maxLength: 128 }),
  payload: fc.uint8Array({ maxLength: 200 }),
})

describe('an entry', () => {
  it('is written byte by byte as other versions read it', () => {
    const bytes = encodeEntry({
      at: [2 ** 52 + 1, 258],
      encoding: 0x21,
      ttl: 1000,
      grace: 5,
      tags: ['t', 'ü'],
      payload: Buffer.from('xy'),
    })
    expect(bytes.toString('hex')).toBe(
      `0121${'0010000000000001'}${'0000000000000102'}${'00000000000003e8'}${'0000000000000005'}02${'022374'}${'0323c3bc'}7879`,
    )
  })

  it('is read as it was written', () => {
    fc.assert(
      fc.property(entry, (given) => {
        const read = decodeEntry(encodeEntry(given))
        expect(read).toEqual({ ...given, payload: Buffer.from(given.payload) })
      }),
    )
  })

  it('is none in bytes of any kind, and never throws', () => {
    const forged = fc
      .tuple(entry, fc.array(fc.tuple(fc.nat(400), fc.nat(255)), { maxLength: 5 }), fc.nat(400))
      .map(([given, changes, length]) => {
        const bytes = encodeEntry(given)
        for (const [at, byte] of changes) if (at < bytes.length) bytes[at] = byte
        return bytes.subarray(0, length)
      })
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 100 }), forged), (bytes) => {
        const read = decodeEntry(bytes)
        if (read === undefined) return
        expect(read.payload.length).toBeLessThanOrEqual(bytes.length - 35)
        for (const each of [read.ttl, read.grace, ...read.at]) expect(Number.isSafeInteger(each)).toBe(true)
      }),
    )
    for (let length = 0; length < 41; length++) {
      const cut = encodeEntry({
        at: [1, 2],
        encoding: 0,
        ttl: 1,
        grace: 0,
        tags: ['abcd'],
        payload: Buffer.alloc(0),
      })
      expect(decodeEntry(cut.subarray(0, length)) === undefined).toBe(length < cut.length)
    }
  })

  it.each([
    { tags: Array(129).fill('t') },
    { tags: [''] },
    { tags: ['t'.repeat(65)] },
    { at: [-1, 0] as const },
    { ttl: 0.5 },
    { ttl: Number.POSITIVE_INFINITY },
    { grace: Number.NaN },
    { encoding: 256 },
  ])('refuses what it cannot hold: %o', (wrong) => {
    const right = { at: [1, 2] as const, encoding: 0, ttl: 1, grace: 0, tags: [], payload: Buffer.alloc(0) }
    expect(() => encodeEntry({ ...right, ...wrong })).toThrow(RangeError)
  })
})

describe('a payload', () => {
  const roundTrip = (stored: string | Uint8Array, format: number) => {
    const { encoding, payload } = payloadOf(stored, format)
    return storedOf(payload, encoding, format)
  }

  it('gives back text and bytes as they were, of every serializer', () => {
    const any = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.array(fc.nat(0xffff), { maxLength: 20 }).map((units) => String.fromCharCode(...units)),
      fc.constantFrom('', '\ud800', 'a\udfffb', '\ufeffa', '\ufffd', '\ufffd\ud800'),
      fc.uint8Array({ maxLength: 50 }),
    )
    fc.assert(
      fc.property(any, fc.nat(15), (stored, format) => {
        expect(roundTrip(stored, format)).toEqual(stored)
      }),
    )
  })

  it('gives back values with halves of characters', () => {
    const value = { '\ud800': ['\udc00', 'a\ud83d', '😀'] }
    for (const serializer of [json, lenientJson, v8]) {
      const back = roundTrip(serializer.encode(value), serializer.format)
      expect(serializer.decode(back as string | Uint8Array)).toEqual(value)
    }
  })

  it('has its bits where they are documented', () => {
    expect(payloadOf('a', 0).encoding).toBe(0)
    expect(payloadOf(Buffer.from('a'), 0).encoding).toBe(1)
    expect(payloadOf(Buffer.from('a'), 1).encoding).toBe(0x11)
    expect(payloadOf('\ud800', 2).encoding).toBe(0x22)
    expect(() => payloadOf('a', 16)).toThrow(RangeError)
  })

  it('is none where another wrote it, or nobody can have', () => {
    const text = Buffer.from('1')
    expect(storedOf(text, 0, 0)).toBe('1')
    expect(storedOf(text, 0, 1)).toBeUndefined()
    expect(storedOf(text, 0x10, 0)).toBeUndefined()
    expect(storedOf(text, 0b0100, 0)).toBeUndefined()
    expect(storedOf(text, 3, 0)).toBeUndefined()
    expect(storedOf(text, 2, 0)).toBeUndefined()
    expect(storedOf(Buffer.of(0x80), 0, 0)).toBeUndefined()
    expect(storedOf(Buffer.of(0xed, 0xa0, 0x80), 0, 0)).toBeUndefined()
    fc.assert(
      fc.property(fc.uint8Array(), fc.nat(255), fc.nat(15), (payload, encoding, format) => {
        const stored = storedOf(payload, encoding, format)
        if (stored !== undefined) expect(encoding >> 4).toBe(format)
      }),
    )
  })

  it('is a copy that holds no more than itself', () => {
    const large = Buffer.alloc(100_000, 7)
    const stored = storedOf(large.subarray(10, 20), 1, 0) as Uint8Array
    expect(stored).toEqual(new Uint8Array(10).fill(7))
    expect(stored.buffer.byteLength).toBe(10)
    large.fill(8)
    expect(stored[0]).toBe(7)
  })
})
