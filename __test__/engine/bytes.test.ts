import { describe, expect, it } from 'vitest'
import type { Engine } from '../../src/engine/engine.js'
import { openEngine } from '../../src/engine/open.js'
import { engines } from '../support/engines.js'

describe.each(engines)('bytes on the %s engine', (kind) => {
  const all = Uint8Array.from({ length: 70_000 }, (_, at) => at % 251)

  function check(engine: Engine, bytes: Uint8Array): void {
    engine.set('k', bytes)
    engine.setIfAbsent('l', bytes)
    engine.setMany(['m'], [bytes], undefined)
    const expected = bytes.slice()
    bytes.fill(0)
    for (const key of ['k', 'l', 'm']) expect(engine.take(key)).toEqual(new Uint8Array(expected))
  }

  it('may lie in memory that is shared with other threads', () => {
    const engine = openEngine({}, kind)
    for (const [from, to] of [
      [0, 0],
      [0, 1],
      [3, 1_000],
      [7, 70_000],
    ]) {
      const shared = new Uint8Array(new SharedArrayBuffer(all.length))
      shared.set(all)
      check(engine, shared.subarray(from, to))
      check(engine, all.slice().subarray(from, to))
    }
    engine.close()
  })
})
