import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, it } from 'vitest'
import { openCaches } from '../../src/cache/registry.js'
import { Cache, PolicyCache } from '../../src/index.js'
import { engines, sleep, uniqueName } from '../support/engines.js'

setFlagsFromString('--expose-gc')
const gc = runInNewContext('gc') as () => void

describe.each(engines)('the open caches on the %s engine', (engine) => {
  const named = (name: string) => openCaches().filter((cache) => cache.name === name)

  it('are those that are open, with what they are', () => {
    const name = uniqueName()
    const cache = new Cache({ name, engine, max: 7 })
    const policies = new PolicyCache({ name, engine })
    expect(named(name).map(({ kind, engine, settings }) => [kind, engine, settings.max])).toEqual([
      ['cache', engine, 7],
      ['policy', engine, 10_000],
    ])
    cache.close()
    cache.close()
    expect(named(name).map(({ kind }) => kind)).toEqual(['policy'])
    policies.close()
    expect(named(name)).toEqual([])
  })

  it('tell policy caches of one name apart by their namespaces', () => {
    const name = `${uniqueName()}/x`
    const pairs = [
      [undefined, name, `default/${name}`],
      ['a/b', name, `a%2Fb/${name}`],
      ['a', `b/${name}`, `a/b/${name}`],
      ['a%2Fb', name, `a%252Fb/${name}`],
    ] as const
    for (const [namespace, given, label] of pairs) {
      const policies = new PolicyCache({ name: given, namespace, engine })
      expect(named(label)).toHaveLength(1)
      policies.close()
    }
  })

  it('have private ones among them, and no namespaces, which are parts', () => {
    const before = openCaches().length
    const cache = new Cache({ engine })
    cache.namespace('part').set('k', 1)
    expect(openCaches()).toHaveLength(before + 1)
    expect(openCaches().at(-1)).toMatchObject({ name: undefined, kind: 'cache' })
    expect(openCaches().at(-1)?.stats()).toMatchObject({ sets: 1, size: 1 })
    cache.close()
    expect(openCaches()).toHaveLength(before)
  })

  it('lose one that is collected', async () => {
    const name = uniqueName()
    ;(() => new Cache({ name, engine }).set('k', 1))()
    for (let tries = 0; named(name).length > 0 && tries < 200; tries++) {
      // What was looked at lives until the end of the turn.
      await sleep(5)
      gc()
      await sleep(0)
    }
    expect(named(name)).toEqual([])
  })

  it('tell what all objects of a name counted of loads', async () => {
    const name = uniqueName()
    const [one, other] = [new Cache({ name, engine }), new Cache({ name, engine })]
    await Promise.all([one.getOrSet('a', async () => 1), one.getOrSet('a', async () => 1)])
    await other.getOrSet('b', async () => 1)
    await expect(
      other.namespace('part').getOrSet('c', () => Promise.reject(new Error('down'))),
    ).rejects.toThrow('down')
    const [first, second] = named(name)
    second?.flush()
    const loads = first?.loads()
    expect(loads).toMatchObject({ loads: 3, loadErrors: 1, loadsShared: 1, failedCalls: 1, stale: 0 })
    expect(loads?.latency.slice(0, -1).reduce((sum, count) => sum + count)).toBe(3)
    one.resetStats()
    expect(first?.loads()).toMatchObject({ loads: 0, failedCalls: 0 })
    one.close()
    expect(() => first?.loads()).toThrow(expect.objectContaining({ code: 'ERR_CACHE_CLOSED' }))
    other.close()
  })
})
