import { Registry } from 'prom-client'
import { describe, expect, it } from 'vitest'
import { available, startServer } from '../../scripts/servers.mjs'
import { Cache, PolicyCache } from '../../src/index.js'
import { Collector } from '../../src/metrics/collect.js'
import { observeMetrics } from '../../src/metrics/opentelemetry.js'
import { exposeMetrics } from '../../src/metrics/prometheus.js'
import { METRICS } from '../../src/metrics/samples.js'
import { type RedisPort, redisTier, TieredCache } from '../../src/tier/tier.js'
import { engines, sleep, uniqueName } from '../support/engines.js'
import { clientOf, KIND, openTiered, uniqueNamespace } from '../support/tiered.js'

const nowhere = (): RedisPort => ({
  send: () => Promise.reject(new Error('down')),
  on: () => {},
  reset: () => {},
  close: () => {},
})

/** The samples of the tier of one cache, without the part of their names that all have. */
async function scrape(cache: string): Promise<Record<string, number>> {
  const register = new Registry()
  using _metrics = exposeMetrics({ register })
  const lines = (await register.metrics()).split('\n').filter((line) => line.includes(JSON.stringify(cache)))
  return Object.fromEntries(
    lines.flatMap((line) => {
      const [, name, labels = '', value] = /^sark_cache_(?:tier_)?(\w+)\{(.*)\} (\S+)$/.exec(line) ?? []
      const own = labels.split(',').filter((label) => !/^(cache|kind)=/.test(label))
      return name === undefined ? [] : [[`${name}{${own.join()}}`, Number(value)]]
    }),
  )
}

describe.each(engines)('the metrics of a tier on the %s engine', (engine) => {
  it('are there where there is one', async () => {
    const name = uniqueName()
    using _plain = new Cache({ name, engine })
    const fleet = uniqueNamespace()
    await using cache = new TieredCache({ name: fleet, engine, redis: nowhere, writeTimeout: 20 })
    await cache.getOrSet('k', () => 1)
    await expect(cache.deleteMany(['a', 'b'])).rejects.toMatchObject({ code: 'ERR_CACHE_CHANGE_PENDING' })
    expect(Object.keys(await scrape(name)).filter((sample) => /lease|fills|breaker/.test(sample))).toEqual([])
    expect(await scrape(fleet)).toMatchObject({
      'reads_total{result="hit"}': 0,
      'reads_total{result="error"}': 0,
      'suspended_reads_total{}': 1,
      'changes_total{}': 0,
      'pending_total{event="added"}': 2,
      'pending{}': 2,
      'lease_seconds{}': 0,
      'breaker{state="closed"}': 1,
      'breaker{state="open"}': 0,
    })
    // A cache that starts its own statistics anew does not count twice.
    cache.resetStats()
    await cache.getOrSet('other', () => 1)
    expect(await scrape(fleet)).toMatchObject({
      'suspended_reads_total{}': 2,
      'pending_total{event="added"}': 2,
    })
  })

  it('come to OpenTelemetry, too', async () => {
    const name = uniqueNamespace()
    await using cache = new TieredCache({ name, engine, redis: nowhere, writeTimeout: 20 })
    await cache.getOrSet('k', () => 1)
    const told = new Map<string, number>()
    type Callback = (result: { observe(of: { name: string }, value: number, by: object): void }) => void
    let read: Callback = () => {}
    const make = (name: string) => ({ name })
    const meter = {
      createObservableCounter: make,
      createObservableGauge: make,
      addBatchObservableCallback: (callback: Callback) => {
        read = callback
      },
      removeBatchObservableCallback: () => {},
    }
    using _observed = observeMetrics({ meterProvider: { getMeter: () => meter } as never })
    read({
      observe: (of, value, by) => {
        if ((by as Record<string, unknown>)['cache.name'] === name) told.set(of.name, value)
      },
    })
    const names = METRICS.map(({ instrument }) => instrument).filter((each) => each.includes('.tier.'))
    expect(names).toHaveLength(10)
    expect(names.filter((each) => !told.has(each))).toEqual([])
    expect(told.get('sark_cache.tier.suspended_reads')).toBe(1)
  })

  it.skipIf(available().every(({ kind }) => kind !== KIND))(
    'tell what came of reads and changes, and decisions of other processes',
    async () => {
      const server = await startServer(KIND)
      try {
        const [name, namespace] = [uniqueName(), uniqueNamespace()]
        await using one = await openTiered(server, { namespace, engine })
        await using other = await openTiered(server, { name, namespace, engine })
        await one.getOrSet('k', () => 1)
        await sleep(100)
        await other.getOrSet('k', () => 1)
        await other.getOrSet('new', () => 1)
        await one.delete('k')
        await other.delete('none')
        await sleep(200)
        const samples = await scrape(name)
        expect(samples).toMatchObject({
          'reads_total{result="hit"}': 1,
          'reads_total{result="miss"}': 1,
          'fills_total{result="stored"}': 1,
          'changes_total{}': 1,
          'changes_applied_total{}': 2,
          'pending{}': 0,
          'loads_total{}': 1,
        })
        expect(samples['lease_seconds{}']).toBeGreaterThan(0)

        const decisions = () =>
          new PolicyCache({
            name: uniqueName(),
            engine,
            evaluate: ({ user }) => ({ allowed: user === 'alice' }),
            tier: redisTier({ redis: clientOf(server), namespace: `${namespace}.d`, readTimeout: 2_000 }),
          })
        using first = decisions()
        using second = decisions()
        const ask = (user: string) => ({ user, action: 'read', resource: 'd' })
        for (const cache of [first, second]) {
          await cache.ready(AbortSignal.timeout(10_000))
          await cache.decide(ask('alice'))
          await cache.decide(ask('bob'))
          await sleep(100)
        }
        await first.decide(ask('carol'))
        await sleep(100)
        expect(await second.get(ask('carol'))).toEqual({ allowed: false })
        const snapshots = new Collector()
          .take()
          .flatMap(({ kind, decisions }) => (kind === 'policy' && decisions ? [decisions] : []))
        expect(snapshots.at(-1)).toMatchObject({
          remoteAllowed: 1,
          remoteDenied: 2,
          evaluatedAllowed: 0,
          evaluatedDenied: 0,
        })
      } finally {
        await server.stop()
      }
    },
  )
})
