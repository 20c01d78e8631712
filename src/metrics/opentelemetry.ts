import type {
  Attributes,
  BatchObservableCallback,
  MeterProvider,
  Observable,
  TracerProvider,
} from '@opentelemetry/api'
import { describe, wrongType } from '../common/errors.js'
import { defineOptions, target } from '../common/options.js'
import { boundsOf, bucketsOf } from './buckets.js'
import { Collector } from './collect.js'
import { traceLoads } from './load-spans.js'
import { peer } from './peer.js'
import { type CacheSnapshot, type DurationMetric, METRICS, type NumberMetric } from './samples.js'

/** The name of the meter and of the tracer. */
const SCOPE = 'sark-cache'

/** Options of {@link observeMetrics}. */
export interface MetricsOptions {
  /** Where the meter comes from. Default: the global one of `@opentelemetry/api`, which must be installed. */
  meterProvider?: MeterProvider | undefined
}

/** Options of {@link observeLoads}. */
export interface TracesOptions {
  /** Where the tracer comes from. Default: the global one of `@opentelemetry/api`, which must be installed. */
  tracerProvider?: TracerProvider | undefined
}

/** What goes on until it is closed. */
export interface Observation extends Disposable {
  /** Ends it. Does nothing the second time. */
  close(): void
}

type Api = typeof import('@opentelemetry/api')

function api(): Api {
  return peer('@opentelemetry/api', '1.9', () => require('@opentelemetry/api') as Api)
}

function provider<T extends object>(method: keyof T & string) {
  return (value: unknown, name: string): T => {
    const found = target<T>(value, name)
    if (typeof found[method] !== 'function') {
      throw wrongType(`${name} must have ${method}, and ${describe(value)} has not`)
    }
    return found
  }
}

const parseMetrics = defineOptions<MetricsOptions>('observeMetrics', {
  meterProvider: provider<MeterProvider>('getMeter'),
})

const parseTraces = defineOptions<TracesOptions>('observeLoads', {
  tracerProvider: provider<TracerProvider>('getTracer'),
})

type Observe = (
  cache: CacheSnapshot,
  attributes: Attributes,
  observe: (observable: Observable, value: number, attributes: Attributes) => void,
) => void

/** The instruments of a meter, and what each tells of a cache. */
interface Instruments {
  readonly observables: Observable[]
  readonly observe: Observe
}

function instrumentsOf(meter: ReturnType<MeterProvider['getMeter']>): Instruments[] {
  const numbers = ({ instrument, type, unit, help, read }: NumberMetric): Instruments => {
    const options = { unit, description: help }
    const observable =
      type === 'counter'
        ? meter.createObservableCounter(instrument, options)
        : meter.createObservableGauge(instrument, options)
    return {
      observables: [observable],
      observe(cache, shared, observe) {
        for (const [labels, value] of read(cache)) {
          const own = Object.entries(labels).map(([label, each]) => [`cache.${label}`, each])
          observe(observable, value, { ...shared, ...Object.fromEntries(own) })
        }
      },
    }
  }
  // There is no histogram that is read when it is collected: its numbers are counters.
  const durations = (metric: DurationMetric): Instruments => {
    const { instrument, unit, help } = metric
    const counter = (part: string, unit: string) =>
      meter.createObservableCounter(`${instrument}.${part}`, { unit, description: help })
    const [bucket, count, sum] = [counter('bucket', '1'), counter('count', '1'), counter('sum', unit)]
    const bounds = boundsOf(metric)
    return {
      observables: [bucket, count, sum],
      observe(cache, shared, observe) {
        const histogram = metric.read(cache)
        const buckets = histogram && bucketsOf(metric, histogram)
        if (buckets === undefined) return
        for (const [at, value] of buckets.counts.entries()) {
          observe(bucket, value, { ...shared, le: bounds[at] as string })
        }
        observe(count, buckets.counts.at(-1) as number, shared)
        observe(sum, buckets.sum, shared)
      },
    }
  }
  return METRICS.map((metric) => (metric.type === 'histogram' ? durations(metric) : numbers(metric)))
}

/**
 * Observes the metrics of all caches of this thread that have a name: those that are open at each collection, in one
 * snapshot. Reading and writing costs nothing more than before. Threads share the counts of a cache on the native
 * engine, so that one of them observes them for the process.
 *
 * @throws `ERR_CACHE_PEER_MISSING` without a provider where `@opentelemetry/api` cannot be loaded.
 */
export function observeMetrics(options: MetricsOptions = {}): Observation {
  const { meterProvider = api().metrics } = parseMetrics(options)
  const meter = meterProvider.getMeter(SCOPE)
  const instruments = instrumentsOf(meter)
  const observables = instruments.flatMap((each) => each.observables)
  const collector = new Collector()
  const callback: BatchObservableCallback = (result) => {
    const observe = (observable: Observable, value: number, attributes: Attributes) =>
      result.observe(observable, value, attributes)
    for (const cache of collector.take()) {
      const attributes = { 'cache.name': cache.name, 'cache.kind': cache.kind }
      for (const instrument of instruments) instrument.observe(cache, attributes, observe)
    }
  }
  meter.addBatchObservableCallback(callback, observables)
  return observation(() => meter.removeBatchObservableCallback(callback, observables))
}

/**
 * Makes a span of each load of this thread, with the cache's name, `cache.hit` and `cache.tier`; never of a key. It
 * begins within the span that is active where the load does. While nobody observes, loads make no messages.
 *
 * @throws `ERR_CACHE_PEER_MISSING` where `@opentelemetry/api` cannot be loaded and no provider was given.
 */
export function observeLoads(options: TracesOptions = {}): Observation {
  const { tracerProvider = api().trace } = parseTraces(options)
  return observation(traceLoads(tracerProvider.getTracer(SCOPE)))
}

function observation(end: () => void): Observation {
  let isOver = false
  const close = () => {
    if (isOver) return
    isOver = true
    end()
  }
  return { close, [Symbol.dispose]: close }
}
