import fc from 'fast-check'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { FallbackEngine } from '../../src/engine/fallback/engine.js'
import { NativeEngine } from '../../src/engine/native/engine.js'
import { Cache } from '../../src/index.js'
import { engines } from '../support/engines.js'

type Step = { key: 0 | 1; op: 'getOrSet' | 'get' | 'set' | 'delete' | 'invalidateTag' | 'clear' | 'expire' }

const step: fc.Arbitrary<Step> = fc.record({
  key: fc.constantFrom(0, 1),
  op: fc.oneof(
    { weight: 5, arbitrary: fc.constant('getOrSet' as const) },
    { weight: 3, arbitrary: fc.constant('get' as const) },
    { weight: 4, arbitrary: fc.constantFrom('set', 'delete', 'invalidateTag', 'clear', 'expire') },
  ),
})

/**
 * Loads, changes and reads in an order that the scheduler chooses. Each value is the truth at the start of its
 * load; after a change has been told to the cache, nothing older may be read.
 */
function race(engine: 'rust' | 'js') {
  return fc.asyncProperty(
    fc.scheduler(),
    fc.array(step, { minLength: 4, maxLength: 30 }),
    async (scheduler, steps) => {
      using cache = new Cache<number>({ engine })
      const truth = [1, 1]
      const told = [1, 1]
      const stale = { staleWhileRevalidate: 60_000, staleIfError: 60_000 }
      const running: Promise<unknown>[] = []
      const names = ['a', 'b'] as const

      const perform = ({ key, op }: Step) => {
        const name = names[key]
        if (op === 'get') {
          const seen = cache.get(name)
          if (seen !== undefined && seen < (told[key] as number))
            throw new Error(`get: ${seen} after ${told[key]}`)
          return
        }
        if (op === 'getOrSet') {
          const least = told[key] as number
          const load = async () => {
            const value = truth[key] as number
            await scheduler.schedule(Promise.resolve(), `load ${name}`)
            return value
          }
          const result = cache.getOrSet(name, load, { tags: [name], ...stale }).then((seen) => {
            if (seen < least) throw new Error(`getOrSet: ${seen} after ${least}`)
          })
          running.push(result)
          result.catch(() => {})
          return
        }
        if (op === 'expire') {
          const fence = cache.fence()
          cache.set(name, truth[key] as number, { ttl: 0.001, fence, tags: [name] })
          return
        }
        const changed = op === 'clear' ? [0, 1] : [key]
        for (const at of changed) truth[at] = (truth[at] as number) + 1
        if (op === 'set') cache.set(name, truth[key] as number, { tags: [name] })
        else if (op === 'delete') cache.delete(name)
        else if (op === 'clear') cache.clear()
        else cache.invalidateTag(name)
        for (const at of changed) told[at] = truth[at] as number
      }

      const { task } = scheduler.scheduleSequence(
        steps.map((each) => ({ label: `${each.op} ${names[each.key]}`, builder: async () => perform(each) })),
      )
      await scheduler.waitFor(task)
      await scheduler.waitFor(Promise.all(running))
      for (const [at, name] of names.entries()) {
        const seen = cache.get(name)
        if (seen !== undefined && seen < (told[at] as number))
          throw new Error(`at last: ${seen} after ${told[at]}`)
      }
    },
  )
}

describe.each(engines)('on the %s engine', (engine) => {
  afterEach(() => vi.restoreAllMocks())

  it('no interleaving of loads and changes lets an old value be read', async () => {
    await fc.assert(race(engine), { numRuns: 3_000 })
  })

  it('without the fence some do, and the same check finds them', async () => {
    const prototype = engine === 'rust' ? NativeEngine.prototype : FallbackEngine.prototype
    const { set } = prototype
    vi.spyOn(prototype, 'set').mockImplementation(function (
      this: never,
      key,
      value,
      ttl,
      _fence,
      tags,
      grace,
    ) {
      return set.call(this, key, value, ttl, undefined, tags, grace)
    })
    vi.spyOn(prototype, 'permits').mockReturnValue(true)
    const result = await fc.check(race(engine), { numRuns: 3_000, endOnFailure: true })
    expect(result.failed).toBe(true)
    expect(String(result.errorInstance)).toMatch(/\d+ after \d+/)
  })
})
