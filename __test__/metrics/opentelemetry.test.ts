import { hasSubscribers } from 'node:diagnostics_channel'
import { context, SpanStatusCode, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { MeterProvider, MetricReader } from '@opentelemetry/sdk-metrics'
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Cache, PolicyCache } from '../../src/index.js'
import { observeLoads, observeMetrics } from '../../src/metrics/opentelemetry.js'
import { METRICS } from '../../src/metrics/samples.js'
import { engines, thrown, uniqueName } from '../support/engines.js'

/** A reader that collects when it is asked. */
class Reader extends MetricReader {
  protected override async onForceFlush() {}
  protected override async onShutdown() {}
}

function meters() {
  const reader = new Reader()
  const meterProvider = new MeterProvider({ readers: [reader] })
  /** The points of one cache, by instrument and the attributes beside the cache's. */
  const collect = async (name: string) => {
    const { resourceMetrics, errors } = await reader.collect()
    expect(errors).toEqual([])
    return Object.fromEntries(
      resourceMetrics.scopeMetrics.flatMap(({ metrics }) =>
        metrics.flatMap(({ descriptor, dataPoints }) =>
          dataPoints.flatMap(({ attributes, value }) => {
            if (attributes['cache.name'] !== name) return []
            const { 'cache.name': _name, 'cache.kind': _kind, ...own } = attributes
            return [[[descriptor.name, ...Object.values(own)].join(' '), value]]
          }),
        ),
      ),
    )
  }
  return { meterProvider, collect }
}

function tracers() {
  const exporter = new InMemorySpanExporter()
  const tracerProvider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
  return { exporter, tracerProvider }
}

describe.each(engines)('the metrics of OpenTelemetry on the %s engine', (engine) => {
  it('tell what happened in a cache', async () => {
    const name = uniqueName()
    const { meterProvider, collect } = meters()
    const observation = observeMetrics({ meterProvider })
    using cache = new Cache({ name, engine, max: 3 })
    using policies = new PolicyCache({ name: `${name} p`, engine, evaluate: () => ({ allowed: false }) })
    await Promise.all([cache.getOrSet('a', () => 1), cache.getOrSet('a', () => 2)])
    await policies.decide({ user: 'alice', action: 'read', resource: 'd' })
    const points = await collect(name)
    expect(points).toMatchObject({
      'sark_cache.requests miss': 2,
      'sark_cache.loads': 1,
      'sark_cache.coalesced': 1,
      'sark_cache.load.duration.count': 1,
      'sark_cache.load.duration.bucket +Inf': 1,
      'sark_cache.entries': 1,
      'sark_cache.max_entries': 3,
      [`sark_cache.info ${engine} lru`]: 1,
    })
    expect(points['sark_cache.load.duration.sum']).toBeGreaterThan(0)
    expect(points).not.toHaveProperty('sark_cache.max_bytes')
    expect(await collect(`${name} p`)).toMatchObject({ 'sark_cache.decisions denied evaluation': 1 })
    observation.close()
    observation.close()
    await cache.getOrSet('b', () => 1)
    // The SDK repeats what it was told last.
    expect(await collect(name)).toMatchObject({ 'sark_cache.loads': 1 })
  })
})

describe('OpenTelemetry', () => {
  const manager = new AsyncLocalStorageContextManager()
  beforeAll(() => {
    context.setGlobalContextManager(manager.enable())
  })
  afterAll(() => context.disable())

  it('is given each metric once, with its unit and what it means', async () => {
    const { meterProvider, collect } = meters()
    using _observation = observeMetrics({ meterProvider })
    await collect('')
    expect(new Set(METRICS.map(({ instrument }) => instrument)).size).toBe(METRICS.length)
    expect(METRICS.filter(({ instrument }) => !/^sark_cache(\.[a-z_]+)+$/.test(instrument))).toEqual([])
  })

  it('has a span of each load, within the one that is active, and none of a hit', async () => {
    const name = uniqueName()
    const { exporter, tracerProvider } = tracers()
    using _observation = observeLoads({ tracerProvider })
    using cache = new Cache({ name, traceKeys: true })
    const parent = tracerProvider.getTracer('test').startSpan('request')
    await context.with(trace.setSpan(context.active(), parent), () => cache.getOrSet('secret', () => 1))
    await cache.getOrSet('secret', () => 1)
    const failing = () => Promise.reject(new TypeError('down'))
    await expect(cache.getOrSet('other', failing)).rejects.toThrow('down')
    await expect(cache.getOrSet('odd', () => Promise.reject(Object.create(null)))).rejects.toBeDefined()
    const [first, failed, odd, ...more] = exporter.getFinishedSpans()
    expect(more).toEqual([])
    expect(first).toMatchObject({
      name: 'sark-cache load',
      attributes: { 'cache.name': name, 'cache.hit': false, 'cache.tier': 'origin', 'cache.refresh': false },
      status: { code: SpanStatusCode.UNSET },
    })
    expect(first?.parentSpanContext?.spanId).toBe(parent.spanContext().spanId)
    expect(failed?.status.code).toBe(SpanStatusCode.ERROR)
    expect(failed?.events[0]?.attributes).toMatchObject({ 'exception.type': 'TypeError' })
    expect(odd?.status.code).toBe(SpanStatusCode.ERROR)
    // Neither a key nor its digest is told.
    expect(JSON.stringify(exporter.getFinishedSpans().map(({ attributes }) => attributes))).not.toContain(
      'secret',
    )
  })

  it('has loads make no message once nobody observes', async () => {
    const { exporter, tracerProvider } = tracers()
    const watched = () => hasSubscribers('tracing:sark-cache:load:start')
    expect(watched()).toBe(false)
    const observation = observeLoads({ tracerProvider })
    expect(watched()).toBe(true)
    observation.close()
    observation.close()
    expect(watched()).toBe(false)
    using cache = new Cache()
    await cache.getOrSet('k', () => 1)
    expect(exporter.getFinishedSpans()).toEqual([])
  })

  it('ends a span that began before it was switched off', async () => {
    const { exporter, tracerProvider } = tracers()
    const observation = observeLoads({ tracerProvider })
    using cache = new Cache()
    let finish = (_: number) => {}
    const loading = cache.getOrSet(
      'k',
      () =>
        new Promise<number>((resolve) => {
          finish = resolve
        }),
    )
    observation.close()
    finish(1)
    await loading
    expect(exporter.getFinishedSpans()).toHaveLength(1)
  })

  it('comes from the global providers where none are given', async () => {
    using _metrics = observeMetrics()
    using _loads = observeLoads()
    using cache = new Cache()
    expect(await cache.getOrSet('k', () => 1)).toBe(1)
  })

  it.each([
    [() => observeMetrics({ meterProvider: {} as never }), 'ERR_INVALID_ARG_TYPE'],
    [() => observeMetrics({ meterProvider: null as never }), 'ERR_INVALID_ARG_TYPE'],
    [() => observeMetrics({ meter: {} } as never), 'ERR_CACHE_UNKNOWN_OPTION'],
    [() => observeLoads({ tracerProvider: 5 as never }), 'ERR_INVALID_ARG_TYPE'],
    [() => observeLoads({ tracer: {} } as never), 'ERR_CACHE_UNKNOWN_OPTION'],
  ])('refuses what is no provider: %s', (body, code) => {
    expect(thrown(body)).toMatchObject({ code })
  })
})
