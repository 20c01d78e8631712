import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Cache } from '../../src/index.js'
import { engines } from '../support/engines.js'

/** Names that have been mistaken for one another somewhere. */
const SPELLINGS = [
  'a:b',
  'a/b',
  'a_b',
  'a*b',
  'a[b',
  'a]b',
  'a\0b',
  'a b',
  'ab',
  'a',
  '*',
  '[a]',
  '',
  ' ',
  '\0',
  '\0\0',
  '__proto__',
  'constructor',
  'toString',
  'hasOwnProperty',
  'valueOf',
  '\ud800',
  '\ud801',
  '\udc00',
  '\ud800\udc00',
  '\ufffd',
  '\ufffe',
  'é',
  'e\u0301',
  'ÿ',
  'Ā',
  '\u6261',
  'ab\u0000',
  'ba',
  '\u0061\u0062',
  '\u00e9\u00e9',
  '\u{1f600}',
  'x'.repeat(253),
  'x'.repeat(254),
  'x'.repeat(255),
  'x'.repeat(256),
  'x'.repeat(257),
  'x'.repeat(5_000),
  '漢'.repeat(127),
  '漢'.repeat(128),
  '漢'.repeat(255),
  '漢'.repeat(256),
  '漢'.repeat(300),
]

describe.each(engines)('keys on the %s engine', (engine) => {
  it('never share a value', () => {
    using cache = new Cache<number>({ engine })
    for (const [at, key] of SPELLINGS.entries()) cache.set(key, at)
    expect(cache.size).toBe(new Set(SPELLINGS).size)
    for (const key of SPELLINGS) expect(cache.get(key)).toBe(SPELLINGS.lastIndexOf(key))
    expect([...cache.keys()].sort()).toEqual([...new Set(SPELLINGS)].sort())
  })

  it('are as different as strings are, whatever units they hold', () => {
    const unit = fc.oneof(fc.nat(0xff), fc.nat(0xffff), fc.constantFrom(0, 0xd800, 0xdfff, 0xfffd))
    const key = fc.array(unit, { maxLength: 300 }).map((units) => String.fromCharCode(...units))
    fc.assert(
      fc.property(fc.uniqueArray(key, { maxLength: 40 }), (keys) => {
        using cache = new Cache<string>({ engine })
        for (const text of keys) cache.set(text, text)
        expect(cache.size).toBe(keys.length)
        for (const text of keys) expect(cache.get(text)).toBe(text)
        expect(new Set(cache.keys())).toEqual(new Set(keys))
      }),
      { numRuns: 150 },
    )
  })
})
