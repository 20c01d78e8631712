import { describe, expect, it } from 'vitest'
import { available, startServer } from '../../scripts/servers.mjs'
import { PolicyCache } from '../../src/index.js'
import { keyOf } from '../../src/policy/key.js'
import { type RedisPort, redisTier, TieredCache } from '../../src/tier/tier.js'
import { engines } from '../support/engines.js'
import { clientOf, KIND, uniqueNamespace } from '../support/tiered.js'

const asked = { user: 'eve', action: 'read', resource: 'secret' }
/** The key under which the decision lies. */
const key = keyOf('0', { ...asked, tenant: undefined, context: undefined, sensitivity: undefined } as never)
const evaluate = () => ({ allowed: false })

/** Where nothing answers, ever. */
const nowhere = (): RedisPort => ({
  send: () => Promise.reject(new Error('not connected')),
  on() {},
  reset() {},
  close() {},
})

const isThere = available().some(({ kind }) => kind === KIND)

describe.each(engines)('a cache and decisions of one name on the %s engine', (engine) => {
  it('have nothing in common while Redis cannot be heard', async () => {
    const name = uniqueNamespace()
    await using cache = new TieredCache({ name, engine, redis: nowhere })
    using decisions = new PolicyCache({ name, engine, evaluate, tier: redisTier({ redis: nowhere }) })
    await cache.getOrSet(key, () => ({ allowed: true }))
    expect(await cache.get(key)).toEqual({ allowed: true })
    expect(await decisions.decide(asked)).toEqual({ allowed: false })
  })

  it.skipIf(!isThere)('have nothing in common in Redis', async () => {
    const server = await startServer(KIND)
    try {
      const name = uniqueNamespace()
      const redis = clientOf(server)
      await using cache = new TieredCache({ name, engine, redis, readTimeout: 2_000, writeTimeout: 5_000 })
      const tier = redisTier({ redis, readTimeout: 2_000, writeTimeout: 5_000 })
      using decisions = new PolicyCache({ name, engine, evaluate, tier })
      await Promise.all([cache.ready(), decisions.ready()])
      await cache.set(key, { allowed: true })
      await expect.poll(() => cache.get(key)).toEqual({ allowed: true })
      expect(await decisions.get(asked)).toBe(undefined)
      expect(await decisions.decide(asked)).toEqual({ allowed: false })
    } finally {
      await server.stop()
    }
  })
})
