import { CacheError, describe, wrongType } from '../common/errors.js'
import { defineOptions, target } from '../common/options.js'
import { boundsOf, bucketsOf } from './buckets.js'
import { Collector } from './collect.js'
import { peer } from './peer.js'
import { type CacheSnapshot, type DurationMetric, type Labels, METRICS, type Metric } from './samples.js'

/** What is used of a `Registry` of prom-client. */
export interface MetricsRegistry {
  registerMetric(metric: never): void
  getSingleMetric(name: string): unknown
  removeSingleMetric(name: string): void
}

/** Options of {@link exposeMetrics}. */
export interface PrometheusOptions {
  /** The registry that is scraped. Default: `register` of prom-client, which must be installed. */
  register?: MetricsRegistry | undefined
}

/** A value as prom-client writes it. */
interface Value {
  readonly metricName: string | undefined
  readonly labels: Labels
  /** Labels that are turned into text once, for as long as the object is the same. */
  readonly sharedLabels?: Labels
  readonly value: number
}

/** A metric as a registry takes it, or sends it to another process. */
interface Written {
  readonly name: string
  readonly help: string
  readonly type: Metric['type']
  readonly aggregator: 'sum'
  readonly values: readonly Value[]
}

const NONE: Labels = Object.freeze({})

/** The bucket bounds of a histogram as labels, in the order of its counts. */
const BOUNDS = new Map(
  METRICS.flatMap((metric) => (metric.type === 'histogram' ? [[metric, labelsOf(metric)]] : [])),
)

function labelsOf(metric: DurationMetric): Labels[] {
  return boundsOf(metric).map((le) => ({ le }))
}

/** The series of one cache: for labels of a sample, all labels, the same object at each scrape. */
class Series {
  readonly #shared: Labels
  readonly #all = new Map<Labels, Labels>()

  constructor({ name, kind }: CacheSnapshot) {
    this.#shared = { cache: name, kind }
  }

  of(labels: Labels): Labels {
    let all = this.#all.get(labels)
    if (all === undefined) {
      all = { ...this.#shared, ...labels }
      this.#all.set(labels, all)
    }
    return all
  }
}

/** The caches of one scrape. */
type Scrape = readonly (readonly [cache: CacheSnapshot, series: Series])[]

/** Takes one snapshot for all metrics that are asked in one turn, as a scrape asks them. */
class Scraper {
  readonly #collector = new Collector()
  #series = new Map<string, Series>()
  #scrape: Scrape | undefined

  read(): Scrape {
    if (this.#scrape !== undefined) return this.#scrape
    const before = this.#series
    this.#series = new Map()
    this.#scrape = this.#collector.take().map((cache) => {
      const id = `${cache.kind}:${cache.name}`
      const series = before.get(id) ?? new Series(cache)
      this.#series.set(id, series)
      return [cache, series] as const
    })
    queueMicrotask(() => {
      this.#scrape = undefined
    })
    return this.#scrape
  }
}

/** What prom-client asks of a metric. It counts nothing: it is read when it is scraped. */
class ScrapedMetric {
  /** A registry of OpenMetrics takes `_total` off, and puts it to each value. */
  name: string
  readonly help: string
  readonly type: Metric['type']
  /** Processes of a cluster have caches of their own, so that everything of theirs adds up. */
  readonly aggregator = 'sum'
  readonly #metric: Metric
  readonly #scraper: Scraper

  constructor(metric: Metric, scraper: Scraper) {
    this.name = metric.name
    this.help = metric.help
    this.type = metric.type
    this.#metric = metric
    this.#scraper = scraper
  }

  /** The values as another process or a program reads them. */
  async get(): Promise<Written> {
    return this.#written((value, labels, metricName) => ({ metricName, labels, value }))
  }

  /** The values as they are written fastest. */
  async getForPromString(): Promise<Written> {
    return this.#written((value, sharedLabels, metricName) => ({
      metricName,
      labels: NONE,
      sharedLabels,
      value,
    }))
  }

  #written(write: (value: number, labels: Labels, metricName?: string) => Value): Written {
    const { name, help, type, aggregator } = this
    const metric = this.#metric
    const values: Value[] = []
    for (const [cache, series] of this.#scraper.read()) {
      if (metric.type !== 'histogram') {
        for (const [labels, value] of metric.read(cache)) values.push(write(value, series.of(labels)))
        continue
      }
      const histogram = metric.read(cache)
      const buckets = histogram && bucketsOf(metric, histogram)
      if (buckets === undefined) continue
      const bounds = BOUNDS.get(metric) as Labels[]
      for (const [at, count] of buckets.counts.entries()) {
        values.push(write(count, series.of(bounds[at] as Labels), `${metric.name}_bucket`))
      }
      values.push(write(buckets.sum, series.of(NONE), `${metric.name}_sum`))
      values.push(write(buckets.counts.at(-1) as number, series.of(NONE), `${metric.name}_count`))
    }
    return { name, help, type, aggregator, values }
  }

  /** `resetMetrics` of a registry leaves caches as they are: `resetStats` is theirs. */
  reset(): void {}
}

const register = (value: unknown, name: string): MetricsRegistry => {
  const registry = target<MetricsRegistry>(value, name)
  if (typeof registry.registerMetric !== 'function') {
    throw wrongType(`${name} must be a Registry of prom-client, not ${describe(value)}`)
  }
  return registry
}

const parse = defineOptions<PrometheusOptions>('exposeMetrics', { register })

/** Metrics of caches in a registry, until they are closed. */
export interface ExposedMetrics extends Disposable {
  /** Takes the metrics out of the registry. Does nothing the second time. */
  close(): void
}

/**
 * Puts the metrics of all caches of this thread that have a name into a registry of prom-client: those that are open at
 * each scrape, in one snapshot. Reading and writing costs nothing more than before. Threads share the counts of a cache
 * on the native engine, so that one of them exposes them for the process.
 *
 * @example
 * exposeMetrics()
 * response.end(await register.metrics())
 *
 * @throws `ERR_CACHE_PEER_MISSING` without a registry where prom-client cannot be loaded; `ERR_CACHE_OPTIONS_CONFLICT`
 * if the registry has the metrics already.
 */
export function exposeMetrics(options: PrometheusOptions = {}): ExposedMetrics {
  const { register = promClient().register } = parse(options)
  const taken = METRICS.find(({ name }) => register.getSingleMetric(name) !== undefined)
  if (taken !== undefined) {
    throw new CacheError('ERR_CACHE_OPTIONS_CONFLICT', `the registry has a metric ${taken.name} already`)
  }
  const scraper = new Scraper()
  const metrics = METRICS.map((metric) => new ScrapedMetric(metric, scraper))
  for (const metric of metrics) register.registerMetric(metric as never)
  const close = () => {
    for (const [at, metric] of metrics.entries()) {
      const { name } = METRICS[at] as Metric
      if (register.getSingleMetric(name) === metric) register.removeSingleMetric(name)
    }
  }
  return { close, [Symbol.dispose]: close }
}

function promClient(): { register: MetricsRegistry } {
  return peer('prom-client', '15', () => require('prom-client') as { register: MetricsRegistry })
}
