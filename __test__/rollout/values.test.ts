import { describe, expect, it } from 'vitest'
import { Cache } from '../../src/index.js'
import { rollout } from '../../src/rollout/rollout.js'
import { engines, uniqueName } from '../support/engines.js'

describe.each(engines)('a rollout of values on the %s engine', (engine) => {
  it('loads in the modes off and shadow, and reads the cache in the mode on', async () => {
    using cache = new Cache<number>({ engine })
    using rolled = rollout(cache, { name: uniqueName() })
    let value = 1
    const read = () => rolled.getOrSet('k', () => value, { tags: ['t'] })
    expect([await read(), cache.size]).toEqual([1, 0])
    rolled.set({ mode: 'shadow' })
    expect([await read(), cache.peek('k')]).toEqual([1, 1])
    value = 2
    expect([await read(), cache.peek('k')]).toEqual([2, 1])
    expect(rolled.stats()).toMatchObject({ miss: 1, differs: 1, stale_allow: 0 })
    rolled.set({ mode: 'on' })
    expect(await read()).toBe(1)
    cache.invalidateTag('t')
    expect(await read()).toBe(2)
    rolled.kill()
    value = 3
    expect(await read()).toBe(3)
    await expect(rolled.getOrSet(5 as never, () => 1)).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' })
    await expect(rolled.getOrSet('k', 5 as never)).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' })
  })
})

describe("a rollout of another package's cache", () => {
  it('asks it by get and getOrSet alone', async () => {
    const held = new Map<string, number>()
    let isBroken = false
    const other = {
      async get(key: string) {
        if (isBroken) throw new Error('no connection')
        return held.get(key)
      },
      async getOrSet(key: string, load: (context: never) => unknown) {
        const value = held.get(key) ?? ((await load({} as never)) as number)
        held.set(key, value)
        return value as never
      },
    }
    using rolled = rollout<number>(other, { name: uniqueName(), mode: 'shadow' })
    let value = 1
    const read = () => rolled.getOrSet('k', () => value)
    expect([await read(), await read()]).toEqual([1, 1])
    value = 2
    expect(await read()).toBe(2)
    isBroken = true
    expect(await read()).toBe(2)
    expect(rolled.stats()).toMatchObject({ miss: 1, match: 1, differs: 1, failed: 1 })
    rolled.set({ mode: 'on' })
    expect(await read()).toBe(1)
  })
})
