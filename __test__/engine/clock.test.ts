import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type EngineClock, Outcome } from '../../src/engine/engine.js'
import { openEngine } from '../../src/engine/open.js'
import type { Stored } from '../../src/engine/stored.js'
import { openNear } from '../../src/near/open.js'
import { engines, thrown } from '../support/engines.js'

describe.each(engines)('a clock given to the %s engine', (kind) => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['Date', 'performance', 'setTimeout', 'clearTimeout'] })
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  it.each(['Date', 'performance'] as const)('tells all of its time: %s', (name) => {
    const engine = openEngine({ clock: globalThis[name], ttl: 1_000 }, kind)
    engine.set('k', '[1]')
    engine.set('l', '[1]', 500, undefined, undefined, 100)
    const near = openNear(engine, {}, (stored: Stored) => JSON.parse(stored as string))
    const copy = near.get('k')
    expect(engine.claim('m', 300)).toBeDefined()
    expect(engine.leases()).toBe(1)
    vi.advanceTimersByTime(299)
    expect(engine.claim('m', 300)).toBe(undefined)
    vi.advanceTimersByTime(1)
    expect(engine.leases()).toBe(0)
    expect(engine.claim('m', 300)).toBeDefined()
    vi.advanceTimersByTime(199)
    expect([engine.has('l'), engine.remainingTtl('l'), engine.isDue('l', 0.002)]).toEqual([true, 1, true])
    vi.advanceTimersByTime(1)
    expect([engine.has('l'), engine.getStale('l')?.[1]]).toEqual([false, 1])
    vi.advanceTimersByTime(50)
    expect(engine.getStale('l')?.[1]).toBe(50)
    vi.advanceTimersByTime(49)
    expect(engine.purge(0)).toEqual({ removed: 0, done: true })
    vi.advanceTimersByTime(1)
    expect(engine.purge(0)).toEqual({ removed: 0, done: false })
    expect([engine.purge(10), engine.getStale('l')]).toEqual([{ removed: 1, done: true }, undefined])
    vi.advanceTimersByTime(399)
    expect(near.get('k')).toBe(copy)
    expect(engine.touch('k')).toBe(true)
    vi.advanceTimersByTime(999)
    expect([near.get('k'), near.peek('k')]).toEqual([copy, copy])
    vi.advanceTimersByTime(1)
    expect([near.get('k'), near.peek('k'), engine.size()]).toEqual([undefined, undefined, 0])
    near.clear()
    engine.close()
  })

  it('stands still while the clock does', async () => {
    vi.useRealTimers()
    const fixed = openEngine({ clock: { now: () => 7 } }, kind)
    fixed.set('k', '[1]', 10)
    const copies = openNear(fixed, {}, (stored: Stored) => JSON.parse(stored as string))
    const copy = copies.get('k')
    await new Promise((resolve) => setTimeout(resolve, 30))
    expect([copies.get('k'), fixed.remainingTtl('k')]).toEqual([copy, 10])
    copies.clear()
    fixed.close()
  })

  it('never goes back, and loses fractions', () => {
    const clock = { ms: -3.5, now: () => clock.ms }
    const engine = openEngine({ clock }, kind)
    engine.set('k', 'v', 100)
    const near = openNear(engine, {}, (stored: Stored) => stored)
    near.get('k')
    clock.ms = 50.9
    expect(engine.remainingTtl('k')).toBe(46)
    clock.ms = 10
    expect(engine.remainingTtl('k')).toBe(46)
    expect(engine.set('l', 'v', 10)).toBe(Outcome.Stored)
    clock.ms = 59.999
    expect([engine.get('l'), near.get('k')]).toEqual(['v', 'v'])
    clock.ms = 60
    expect(engine.get('l')).toBe(undefined)
    clock.ms = 96
    expect(near.get('k')).toBe(undefined)
    clock.ms = 0
    expect([near.get('k'), engine.get('k')]).toEqual([undefined, undefined])
    near.clear()
    engine.close()
  })

  it('is for private caches', () => {
    const error = thrown(() => openEngine({ name: 'shared', clock: Date }, kind))
    expect([error instanceof RangeError, error.code]).toEqual([true, 'ERR_OUT_OF_RANGE'])
  })

  it.each([Number.NaN, '5', undefined, Infinity])('must return a number of ms, not %s', (wrong) => {
    const refused = thrown(() => openEngine({ clock: { now: () => wrong } as EngineClock }, kind))
    expect([refused instanceof TypeError, refused.code]).toEqual([true, 'ERR_INVALID_ARG_TYPE'])
    let now: unknown = 1
    const engine = openEngine({ clock: { now: () => now } as EngineClock }, kind)
    engine.set('k', 'v', 100)
    now = wrong
    const error = thrown(() => engine.get('k'))
    expect([error instanceof TypeError, error.code]).toEqual([true, 'ERR_INVALID_ARG_TYPE'])
    now = 2
    expect(engine.get('k')).toBe('v')
    engine.close()
  })
})
