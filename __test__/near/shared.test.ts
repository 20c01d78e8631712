import { describe, expect, it } from 'vitest'
import { Cache } from '../../src/index.js'
import { engines, sleep, uniqueName } from '../support/engines.js'

describe.each(engines)('copies of two objects of one cache on the %s engine', (engine) => {
  it('are apart: neither loses what the other lets go of', () => {
    const name = uniqueName()
    using one = new Cache<{ x: number }>({ name, engine })
    const two = new Cache<{ x: number }>({ name, engine, near: { max: 1 } })
    one.set('k', { x: 1 })
    one.set('l', { x: 2 })
    for (const cache of [one, two]) expect(cache.get('k')).toEqual({ x: 1 })
    expect(two.get('l')).toEqual({ x: 2 })
    expect(one.get('k')).toEqual({ x: 1 })
    two.close()
    expect(one.get('k')).toEqual({ x: 1 })
  })

  it('do not end the process where a clock of the caller stops telling the time', async () => {
    let now = (): number => 1
    const cache = new Cache<number>({ engine, clock: { now: () => now() }, ttl: 1_000 })
    cache.set('k', 1)
    expect([cache.get('k'), cache.get('k')]).toEqual([1, 1])
    now = () => undefined as never
    // What was read is to be reported by now.
    await sleep(150)
    now = () => 2
    cache.close()
  })
})
