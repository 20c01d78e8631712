import { AggregatorRegistry, Registry } from 'prom-client'
import { describe, expect, it } from 'vitest'
import { openEngine } from '../../src/engine/open.js'
import { Cache, PolicyCache } from '../../src/index.js'
import { exposeMetrics } from '../../src/metrics/prometheus.js'
import { METRICS } from '../../src/metrics/samples.js'
import { engines, sleep, thrown, uniqueName } from '../support/engines.js'

/** The samples of one cache, by their names and other labels. */
function samplesOf(text: string, cache: string): Record<string, number> {
  const lines = text.split('\n').filter((line) => line.includes(`cache=${JSON.stringify(cache)}`))
  return Object.fromEntries(
    lines.map((line) => {
      const [, name, labels = '', value] = /^(\w+)\{(.*)\} (\S+)$/.exec(line) as RegExpExecArray
      const own = labels.split(',').filter((label) => !/^(cache|kind)=/.test(label))
      return [`${name}{${own.sort().join()}}`.replaceAll('sark_cache_', ''), Number(value)]
    }),
  )
}

async function scrape(cache: string, register = new Registry()): Promise<Record<string, number>> {
  using _metrics = exposeMetrics({ register })
  return samplesOf(await register.metrics(), cache)
}

describe.each(engines)('the metrics of prom-client on the %s engine', (engine) => {
  it('tell what happened in a cache', async () => {
    const name = uniqueName()
    using cache = new Cache<number>({ name, engine, max: 3, maxSize: 10_000, maxEntrySize: 1_000 })
    await Promise.all([cache.getOrSet('a', () => 1), cache.getOrSet('a', () => 2)])
    cache.get('a')
    cache.get('a')
    cache.get('none')
    await expect(cache.getOrSet('bad', () => Promise.reject(new Error('down')))).rejects.toThrow('down')
    const fence = cache.fence()
    cache.invalidateTag('t')
    cache.set('f', 1, { fence, tags: ['t'] })
    cache.set('large', 'x'.repeat(2_000) as never)
    for (let n = 0; n < 5; n++) cache.set(`n${n}`, n)
    cache.delete('n4')
    cache.set('short', 1, 1)
    await sleep(10)
    cache.get('short')
    const samples = await scrape(name)
    const stats = cache.stats()
    expect(samples['requests_total{result="hit"}']).toBe(stats.hits - stats.nearHits)
    expect(samples['requests_total{result="near"}']).toBe(stats.nearHits)
    expect(stats.nearHits).toBeGreaterThan(0)
    expect(samples).toMatchObject({
      'requests_total{result="miss"}': stats.misses,
      'requests_total{result="stale"}': 0,
      'requests_total{result="fenced"}': 1,
      'requests_total{result="error"}': 1,
      'loads_total{}': 2,
      'load_failures_total{}': 1,
      'load_duration_seconds_count{}': 2,
      'load_duration_seconds_bucket{le="+Inf"}': 2,
      'loads_in_progress{}': 0,
      'coalesced_total{}': 1,
      'writes_total{result="stored"}': 7,
      'writes_total{result="too_large"}': 1,
      'writes_total{result="fenced"}': 1,
      'evictions_total{reason="max"}': 3,
      'evictions_total{reason="max_size"}': 0,
      'evictions_total{reason="expired"}': 1,
      'invalidations_total{reason="delete"}': 1,
      'entries{}': cache.size,
      'bytes{}': cache.bytes,
      'max_entries{}': 3,
      'max_bytes{}': 10_000,
      [`info{engine="${engine}",policy="lru"}`]: 1,
    })
    expect(samples['load_duration_seconds_sum{}']).toBeGreaterThan(0)
    expect(Object.keys(samples).filter((sample) => /decision|policy_/.test(sample))).toEqual([])
  })

  it('tell decisions by outcome and source', async () => {
    const name = uniqueName()
    using policies = new PolicyCache({
      name,
      engine,
      staleIfError: 60_000,
      ttl: { internal: 30 },
      evaluate: ({ user }) => {
        if (user === 'nobody') throw new Error('down')
        return { allowed: user === 'alice' }
      },
    })
    const ask = (user: string) => policies.decide({ user, action: 'read', resource: 'd' })
    for (const user of ['alice', 'alice', 'alice', 'bob', 'bob']) await ask(user)
    await expect(ask('nobody')).rejects.toThrow('down')
    const brief = { user: 'alice', action: 'write', resource: 'd', sensitivity: 'internal' } as const
    await policies.decide(brief)
    await sleep(50)
    const failing = () => Promise.reject(new Error('down'))
    expect(await policies.decide(brief, { evaluate: failing })).toEqual({ allowed: true })
    await policies.invalidate({ user: 'bob' })
    expect(policies.getMetrics()).toMatchObject({ hits: 3, misses: 5, stale: 1, evaluations: 5, errors: 2 })
    expect(await scrape(name)).toMatchObject({
      'decisions_total{outcome="allowed",source="cache"}': 2,
      'decisions_total{outcome="denied",source="cache"}': 1,
      'decisions_total{outcome="allowed",source="stale"}': 1,
      'decisions_total{outcome="denied",source="stale"}': 0,
      'decisions_total{outcome="allowed",source="evaluation"}': 2,
      'decisions_total{outcome="denied",source="evaluation"}': 1,
      'decisions_total{outcome="error",source="evaluation"}': 2,
      'requests_total{result="stale"}': 1,
      'requests_total{result="error"}': 1,
      'policy_invalidations_total{}': 1,
      'decision_read_duration_seconds_count{}': 1,
      'load_duration_seconds_count{}': 5,
    })
  })

  it('have cumulative buckets, whose bounds are those that were counted', async () => {
    const name = uniqueName()
    using cache = new Cache<number>({ name, engine })
    for (const ms of [0, 5, 30, 30])
      await cache.getOrSet(`${ms} ${Math.random()}`, () => sleep(ms).then(() => 1))
    const samples = await scrape(name)
    const buckets = Object.entries(samples).filter(([sample]) => sample.includes('duration_seconds_bucket'))
    const counts = buckets.map(([, count]) => count)
    expect(counts).toEqual(counts.toSorted((a, b) => a - b))
    expect(counts.at(-1)).toBe(4)
    // No timer is early by so much.
    expect(samples['load_duration_seconds_bucket{le="0.016777216"}']).toBeLessThanOrEqual(2)
    expect(samples['load_duration_seconds_sum{}']).toBeGreaterThan(0.06)
  })

  it('are of one cache where several objects have its name', async () => {
    const name = uniqueName()
    using one = new Cache({ name, engine })
    using other = new Cache({ name, engine })
    await one.getOrSet('a', () => 1)
    await other.getOrSet('b', () => 1)
    other.get('a')
    const samples = await scrape(name)
    expect(samples).toMatchObject({ 'loads_total{}': 2, 'entries{}': 2, 'requests_total{result="miss"}': 2 })
  })

  it('take one snapshot a scrape, and follow caches that open and close', async () => {
    const register = new Registry()
    using _metrics = exposeMetrics({ register })
    const name = uniqueName()
    expect(samplesOf(await register.metrics(), name)).toEqual({})
    const cache = new Cache({ name, engine })
    const first = register.metrics()
    cache.set('k', 1)
    // What came after the scrape had begun is in none of its metrics.
    expect(samplesOf(await first, name)).toMatchObject({ 'entries{}': 0, 'writes_total{result="stored"}': 0 })
    expect(samplesOf(await register.metrics(), name)).toMatchObject({ 'entries{}': 1 })
    cache.close()
    expect(samplesOf(await register.metrics(), name)).toEqual({})
  })
})

describe('the metrics of prom-client', () => {
  it('leave private caches out, which nothing tells apart', async () => {
    const register = new Registry()
    using _metrics = exposeMetrics({ register })
    const before = await register.metrics()
    using _cache = new Cache()
    expect(await register.metrics()).toBe(before)
  })

  it('are all in the text of a scrape, with their types and what they mean', async () => {
    const register = new Registry()
    using _metrics = exposeMetrics({ register })
    const text = await register.metrics()
    for (const { name, type, help } of METRICS) {
      expect(text).toContain(`# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`)
    }
  })

  it('write names of caches as labels need them, and as JSON as in the text', async () => {
    const name = `${uniqueName()} "quoted" \\ and\nlines {},=`
    const register = new Registry()
    using _metrics = exposeMetrics({ register })
    using _cache = new Cache({ name })
    const escaped = name.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('"', '\\"')
    expect(await register.metrics()).toContain(`sark_cache_entries{cache="${escaped}",kind="cache"} 0\n`)
    const entries = (await register.getMetricsAsJSON()).find((metric) => metric.name === 'sark_cache_entries')
    expect(entries).toMatchObject({
      aggregator: 'sum',
      values: expect.arrayContaining([
        expect.objectContaining({ labels: { cache: name, kind: 'cache' }, value: 0 }),
      ]),
    })
  })

  it('carry the default labels of a registry', async () => {
    const name = uniqueName()
    const register = new Registry()
    register.setDefaultLabels({ service: 'api' })
    using _metrics = exposeMetrics({ register })
    using _cache = new Cache({ name })
    const text = await register.metrics()
    expect(text).toMatch(/sark_cache_entries\{service="api",cache="[^"]*",kind="cache"\} 0/)
    const samples = text.split('\n').filter((line) => line.startsWith('sark_cache'))
    expect(samples.filter((line) => !line.includes('service="api"'))).toEqual([])
  })

  it('are written as OpenMetrics, too', async () => {
    const name = uniqueName()
    const register = new Registry<typeof Registry.OPENMETRICS_CONTENT_TYPE>()
    register.setContentType(Registry.OPENMETRICS_CONTENT_TYPE)
    const metrics = exposeMetrics({ register })
    using cache = new Cache({ name })
    await cache.getOrSet('k', () => 1)
    for (let turn = 0; turn < 2; turn++) {
      const text = await register.metrics()
      expect(text).toContain('# TYPE sark_cache_loads counter\n')
      expect(samplesOf(text, name)).toMatchObject({ 'loads_total{}': 1, 'load_duration_seconds_count{}': 1 })
    }
    metrics.close()
    expect(register.getMetricsAsArray()).toEqual([])
  })

  it('do not fall while other threads count, but by a reset', async () => {
    const name = uniqueName()
    const register = new Registry()
    using _metrics = exposeMetrics({ register })
    using cache = new Cache({ name })
    cache.set('k', 1)
    for (let n = 0; n < 10; n++) cache.get('k')
    const hits = async () =>
      samplesOf(await register.metrics(), name)['requests_total{result="hit"}'] as number
    const before = await hits()
    expect(before).toBeGreaterThan(0)
    cache.resetStats()
    expect(await hits()).toBe(0)
  })

  it('are in a registry once, and leave it when they are closed', async () => {
    const register = new Registry()
    const metrics = exposeMetrics({ register })
    expect(thrown(() => exposeMetrics({ register }))).toMatchObject({
      code: 'ERR_CACHE_OPTIONS_CONFLICT',
      message: expect.stringContaining('sark_cache_requests_total'),
    })
    register.resetMetrics()
    metrics.close()
    expect(register.getMetricsAsArray()).toEqual([])
    const again = exposeMetrics({ register })
    // The first is closed for good, and takes nothing of the second.
    metrics.close()
    expect(register.getMetricsAsArray()).toHaveLength(METRICS.length)
    again.close()
  })

  it('come to the registry of prom-client itself, where none is given', async () => {
    const { register } = await import('prom-client')
    using _metrics = exposeMetrics()
    expect(register.getSingleMetric('sark_cache_entries')).toBeDefined()
  })

  it.each([
    [{ registry: new Registry() }, 'ERR_CACHE_UNKNOWN_OPTION'],
    [{ register: 5 }, 'ERR_INVALID_ARG_TYPE'],
    [{ register: null }, 'ERR_INVALID_ARG_TYPE'],
    [{ register: {} }, 'ERR_INVALID_ARG_TYPE'],
    [null, 'ERR_INVALID_ARG_TYPE'],
  ])('refuse %o', (options, code) => {
    expect(thrown(() => exposeMetrics(options as never))).toMatchObject({ code })
  })

  it('tell of the other caches where one cannot be read', async () => {
    const name = uniqueName()
    const odd = openEngine({ name: `cache:${name} odd` }, undefined)
    // As another version of the package would count.
    odd.counters('loads', 3)
    using other = new Cache({ name: `${name} odd` })
    using cache = new Cache({ name })
    await cache.getOrSet('k', () => 1)
    expect(await scrape(`${name} odd`)).toEqual({})
    expect(await scrape(name)).toMatchObject({ 'loads_total{}': 1 })
    expect(await other.getOrSet('k', () => 1)).toBe(1)
    odd.close()
  })

  it('add up over processes', async () => {
    const name = uniqueName()
    const register = new Registry()
    using _metrics = exposeMetrics({ register })
    using cache = new Cache({ name, max: 10 })
    await cache.getOrSet('k', () => 1)
    const process = async () => JSON.parse(JSON.stringify(await register.getMetricsAsJSON()))
    const both = AggregatorRegistry.aggregate([await process(), await process()])
    expect(samplesOf(await both.metrics(), name)).toMatchObject({
      'loads_total{}': 2,
      'entries{}': 2,
      'max_entries{}': 20,
      'load_duration_seconds_count{}': 2,
      'load_duration_seconds_bucket{le="+Inf"}': 2,
      [`info{engine="${cache.engine}",policy="lru"}`]: 2,
    })
  })
})
