import type { CacheCore } from '../cache/core.js'
import { fewAtATime } from '../common/concurrency.js'
import { wrongType } from '../common/errors.js'
import { tell } from '../loading/options.js'
import { type Decision, type Evaluate, isRecent } from './decision.js'
import { type EvaluationHost, requestOf } from './evaluation.js'
import { keyOf } from './key.js'
import type { DecideManyOptions, DecideOptions } from './options.js'
import { CONCURRENCY } from './preload.js'
import { type AskedQuery, type PolicyQuery, readQuery } from './query.js'

/** Finds decisions: in the cache, or by an evaluation. */
export class Decider<D extends Decision> {
  readonly #core: CacheCore<D>
  readonly #revision: string
  readonly #evaluate: Evaluate<D> | undefined
  readonly #host: EvaluationHost

  /** @param evaluate What evaluates where a call brings nothing of its own. */
  constructor(core: CacheCore<D>, revision: string, evaluate: Evaluate<D> | undefined, host: EvaluationHost) {
    this.#core = core
    this.#revision = revision
    this.#evaluate = evaluate
    this.#host = host
  }

  /** The key of a query, as the engine knows it. */
  keyOf(asked: AskedQuery): string {
    return this.#core.keyOf(keyOf(this.#revision, asked))
  }

  /** The decision that is in the cache, if its revision is `least` or later. */
  read(query: PolicyQuery, least: number | undefined): D | undefined {
    const { metrics } = this.#host
    const start = metrics.startRead()
    const found = this.#core.get(this.keyOf(readQuery(query)))
    const decision = found !== undefined && isRecent(found, least) ? found : undefined
    metrics.countRead(decision, start)
    return decision
  }

  /** The decision, if it is there, or the promise of one. A hit builds nothing but its key. */
  decide(asked: AskedQuery, options: DecideOptions<D>): D | Promise<D> {
    const { metrics, settings } = this.#host
    const start = metrics.startRead()
    const { freshness, minRevision, signal, status } = options
    const evaluate = this.#evaluateOf(options)
    signal?.throwIfAborted()
    const core = this.#core
    const key = this.keyOf(asked)
    let cached = freshness === 'bypass' ? undefined : core.get(key)
    let isHit = cached !== undefined && isRecent(cached, minRevision)
    if (isHit && settings.refreshAhead > 0) {
      const request = requestOf(this.#host, key, asked, evaluate, options)
      if (core.loader.refreshIfDue(request)) {
        cached = core.peek(key)
        isHit = cached !== undefined && isRecent(cached, minRevision)
      }
    }
    metrics.countRead(isHit ? cached : undefined, start)
    if (isHit) {
      tell(status, 'hit')
      return cached as D
    }
    return this.#load(asked, key, options, cached)
  }

  async decideMany(queries: readonly PolicyQuery[], options: DecideManyOptions<D>): Promise<D[]> {
    const { metrics, settings } = this.#host
    const { freshness, minRevision, signal } = options
    this.#evaluateOf(options)
    const asked = queries.map((query) => readQuery(query))
    signal?.throwIfAborted()
    const core = this.#core
    const decisions: D[] = new Array(asked.length)
    const places = [...asked.keys()]
    // Whether one is soon to expire, and to be refreshed, is asked of each by itself.
    if (freshness === 'bypass' || settings.refreshAhead > 0) {
      await fewAtATime(places, CONCURRENCY, async (at) => {
        decisions[at] = await this.decide(asked[at] as AskedQuery, options)
      })
      return decisions
    }
    const keys = asked.map((each) => this.keyOf(each))
    core.near?.beforeWrite()
    const found = core.engine.getMany(keys).map((stored) => stored && core.share(stored).value)
    const missing = places.filter((at) => {
      const decision = found[at] as D | undefined
      const isHit = decision !== undefined && isRecent(decision, minRevision)
      metrics.countRead(isHit ? decision : undefined, undefined)
      if (isHit) decisions[at] = decision
      return !isHit
    })
    await fewAtATime(missing, CONCURRENCY, async (at) => {
      const decision = found[at] as D | undefined
      decisions[at] = await this.#load(asked[at] as AskedQuery, keys[at] as string, options, decision)
    })
    return decisions
  }

  #evaluateOf({ evaluate = this.#evaluate }: DecideOptions<D>): Evaluate<D> {
    if (evaluate === undefined)
      throw wrongType('evaluate must be a function, in the options of the cache or here')
    return evaluate
  }

  /** The decision of an evaluation, where what is cached is not recent enough, or was not looked for. */
  #load(asked: AskedQuery, key: string, options: DecideOptions<D>, cached: D | undefined): Promise<D> {
    const request = requestOf(this.#host, key, asked, this.#evaluateOf(options), options)
    const isFresh = options.freshness === 'bypass' || cached !== undefined
    const { loader } = this.#core
    return isFresh ? loader.loadFresh(request) : loader.load(request)
  }
}
