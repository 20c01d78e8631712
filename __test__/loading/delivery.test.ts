import { describe, expect, it } from 'vitest'
import { Cache, PolicyCache } from '../../src/index.js'
import { engines } from '../support/engines.js'

/** Runs `body` in the microtasks that follow, one after the other. */
async function eachMicrotask(count: number, body: (turn: number) => void): Promise<void> {
  for (let turn = 0; turn < count; turn++) {
    body(turn)
    await null
  }
}

const asked = { user: 'alice', action: 'read', resource: 'doc:1' }

describe.each(engines)('a value that is loaded on the %s engine', (engine) => {
  // An invalidation in each of the microtasks in which a load comes to its end.
  it.each(Array.from({ length: 24 }, (_, turn) => [turn]))(
    'is not delivered more than one microtask after the invalidation of turn %d',
    async (turn) => {
      using cache = new Cache<number>({ engine })
      using decisions = new PolicyCache({ engine })
      let truth = 1
      let invalidatedAt = Infinity
      let now = 0
      const wrong: string[] = []
      const note = (who: string) => (seen: number) => {
        // One microtask is that of the promise.
        if (seen < truth && now > invalidatedAt + 1) {
          wrong.push(`${who}: ${now - invalidatedAt} microtasks late`)
        }
      }
      const load = async () => truth
      const wrapped = cache.wrap(load, { key: () => 'w', tags: ['t'] })
      const evaluate = async () => ({ allowed: true, revision: truth })
      const running = [
        cache.getOrSet('k', load, { tags: ['t'] }).then(note('getOrSet')),
        cache.getOrSet('k', load, { tags: ['t'] }).then(note('shared')),
        cache.getOrSet('s', load, { tags: ['t'], signal: new AbortController().signal }).then(note('signal')),
        cache.getOrSet('o', load, { tags: ['t'], timeout: 1_000 }).then(note('timeout')),
        cache.getOrSet('f', load, { tags: ['t'], forceRefresh: true }).then(note('forceRefresh')),
        wrapped().then(note('wrap')),
        decisions.decide(asked, { evaluate }).then(({ revision }) => note('decide')(revision as number)),
        decisions
          .decide(asked, { evaluate, freshness: 'bypass' })
          .then(({ revision }) => note('bypass')(revision as number)),
      ]
      await eachMicrotask(40, (at) => {
        now = at
        if (at !== turn) return
        truth = 2
        cache.invalidateTag('t')
        void decisions.invalidate({ user: 'alice' })
        invalidatedAt = at
      })
      await Promise.all(running)
      expect(wrong).toEqual([])
      expect([undefined, 2]).toContain(turn < 24 ? cache.get('k') : undefined)
    },
  )

  it('is loaded again where its load was overtaken in the very last turn', async () => {
    using cache = new Cache<number>({ engine })
    let loads = 0
    const value = await cache.getOrSet('k', async () => {
      loads++
      // The load's own result is on its way.
      if (loads === 1) queueMicrotask(() => cache.delete('k'))
      return loads
    })
    expect(value).toBe(loads)
  })
})
