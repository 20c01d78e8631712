import { Cache, type CacheOptions } from '../cache.js'
import { CacheError, describe, wrongType } from '../common/errors.js'
import { checkChoice, checkFunction, checkOptions, checkText, checkTtl } from '../common/validate.js'
import { type EngineKind, Outcome, type PurgeSlice } from '../engine/engine.js'
import type { Request } from '../loading/loader.js'
import {
  checkGetOrSetOptions,
  type GetOrSetOptions,
  type LoadContext,
  type LoadStatus,
  requestOf,
} from '../loading/options.js'
import { MetricsRecorder, type PolicyMetrics } from './metrics.js'
import {
  checkQuery,
  type Invalidation,
  type KeySpace,
  keyOf,
  type PolicyQuery,
  snapshot,
  tagOf,
  tagsOf,
} from './query.js'
import { DecisionTtl, type SensitivityTtls } from './ttl.js'

/** An answer to a {@link PolicyQuery}. Whatever else it holds must be JSON. */
export interface Decision {
  readonly allowed: boolean
  /** The revision of the data that it was made from, where the caller counts them; larger is newer. */
  readonly revision?: number
}

/** What an evaluation is given besides the query. */
export interface EvaluationContext {
  /** Aborted when nobody waits for the decision any more, and when it takes too long. */
  readonly signal: AbortSignal
  /** The revision of the data that the decision must be made from at least. */
  readonly minRevision: number | undefined
}

/** Finds a decision. It must not make one up: if it cannot tell, it throws. */
export type Evaluate<D extends Decision> = (query: PolicyQuery, context: EvaluationContext) => D | Promise<D>

/** Options of a {@link PolicyCache}. */
export interface PolicyCacheOptions<D extends Decision>
  extends Pick<CacheOptions, 'name' | 'max' | 'maxSize' | 'policy' | 'near' | 'engine'>,
    Pick<GetOrSetOptions, 'staleWhileRevalidate' | 'staleIfError' | 'refreshAhead' | 'ttlJitter'> {
  /** Finds the decisions that `decide` and `preload` do not find in the cache. */
  evaluate?: Evaluate<D>
  /** Keeps the keys of several policy caches of one name apart. Default: `default`. */
  namespace?: string
  /** The revision of the policies. A decision is found only under the revision it was made with. Default: `0`. */
  policyRevision?: string
  /**
   * Ms that a decision lives, by sensitivity. Default: critical 60 000, confidential 120 000, internal
   * 180 000, public 300 000. 0 keeps none.
   */
  ttl?: Partial<SensitivityTtls>
  /** Ms that a denial lives at the most. Default: 30 000. */
  denyTtl?: number
  /** Ms after which an evaluation fails with `ERR_CACHE_LOAD_TIMEOUT`. Default: 30 000. */
  timeout?: number
}

/** How one decision is found. */
export interface DecideOptions<D extends Decision> {
  /** Finds the decision, instead of the one in the options of the cache. */
  evaluate?: Evaluate<D>
  /** `bypass` evaluates whatever is cached, and stores the result. Default: `cached`. */
  freshness?: 'cached' | 'bypass'
  /**
   * The revision that the caller has seen: a decision of an older one, or of none, is not served. If the
   * evaluation itself comes to an older one, that is `ERR_POLICY_REVISION`.
   */
  minRevision?: number
  /** Ends this caller's wait. */
  signal?: AbortSignal
  /** An object of the caller's that is told where the decision came from. */
  status?: LoadStatus
}

/** How one decision is stored. */
export interface PolicySetOptions {
  /** Ms to live, instead of what the sensitivity says; 0 stores nothing. A denial is still cut short. */
  ttl?: number
  /** What {@link PolicyCache.fence} returned before the decision was made. */
  fence?: number
}

/** A decision with the query that it answers. */
export interface PolicyEntry<D extends Decision> extends PolicySetOptions {
  query: PolicyQuery
  decision: D
}

/** What {@link PolicyCache.preload} did. */
export interface PreloadResult {
  /** Decisions that were evaluated. */
  loaded: number
  /** Decisions that were in the cache. */
  present: number
  /** Queries whose evaluation failed, with the reason. */
  failed: { query: PolicyQuery; error: unknown }[]
}

/** What {@link PolicyCache.healthCheck} finds. */
export interface PolicyHealth {
  healthy: boolean
  engine: EngineKind
  size: number
  bytes: number
  /** Why it is not healthy. */
  error: unknown
}

/** Evaluations that `preload` has under way at a time. */
const PRELOAD_CONCURRENCY = 16

/**
 * A cache of authorization decisions.
 *
 * A decision is found again only by a query that is equal as a whole. How long it lives follows from its
 * sensitivity, denials live shorter, and errors are never stored. Once `invalidate` has been called, no
 * thread is served a decision whose evaluation began before.
 *
 * @example
 * const decisions = new PolicyCache({ name: 'decisions', evaluate: (query) => policy.evaluate(query) })
 * const { allowed } = await decisions.decide({ user: 'alice', action: 'read', resource: 'doc:1' })
 * await decisions.invalidate({ user: 'alice' })
 */
export class PolicyCache<D extends Decision = Decision> implements Disposable {
  /** Which engine serves this cache. */
  readonly engine: EngineKind
  readonly #cache: Cache<D>
  readonly #space: KeySpace
  readonly #ttl: DecisionTtl
  readonly #evaluate: Evaluate<D> | undefined
  readonly #loading: GetOrSetOptions
  readonly #metrics = new MetricsRecorder()

  constructor(options: PolicyCacheOptions<D> = {}) {
    checkOptions(options)
    const { evaluate, namespace = 'default', policyRevision = '0', ttl, denyTtl, timeout } = options
    if (evaluate !== undefined) checkFunction(evaluate, 'evaluate')
    checkText(namespace, 'namespace')
    checkText(policyRevision, 'policyRevision')
    this.#space = { namespace, policyRevision }
    this.#ttl = new DecisionTtl(ttl, denyTtl)
    this.#evaluate = evaluate
    const { staleWhileRevalidate = 0, staleIfError = 0, refreshAhead = 0, ttlJitter = 0 } = options
    const given = { staleWhileRevalidate, staleIfError, refreshAhead, ttlJitter }
    this.#loading = timeout === undefined ? given : { ...given, hardTimeout: timeout }
    // So that wrong options are refused here and not at the first query.
    checkGetOrSetOptions(this.#loading)
    const { name, max, maxSize, policy, near, engine } = options
    this.#cache = new Cache<D>({
      ...(name === undefined ? {} : { name }),
      ...(max === undefined ? {} : { max }),
      ...(maxSize === undefined ? {} : { maxSize }),
      ...(policy === undefined ? {} : { policy }),
      // Beside the digest of a query a look at the clock costs nothing.
      near: near === false ? near : { clock: 'exact', ...near },
      ...(engine === undefined ? {} : { engine }),
    })
    this.engine = this.#cache.engine
  }

  #count(hit: boolean): void {
    this.#metrics.count(hit ? 'hits' : 'misses')
  }

  /** The decision for `query`, or `undefined`. */
  async get(query: PolicyQuery): Promise<D | undefined> {
    const start = performance.now()
    checkQuery(query)
    const decision = this.#cache.get(keyOf(this.#space, query))
    this.#count(decision !== undefined)
    this.#metrics.get.record(start)
    return decision
  }

  /** The decisions for `queries`, in their order, `undefined` where there is none. */
  async getMany(queries: readonly PolicyQuery[]): Promise<(D | undefined)[]> {
    if (!Array.isArray(queries)) throw wrongType(`the queries must be an array, not ${describe(queries)}`)
    const keys = queries.map((query) => {
      checkQuery(query)
      return keyOf(this.#space, query)
    })
    const decisions = this.#cache.getMany(keys)
    for (const decision of decisions) this.#count(decision !== undefined)
    return decisions
  }

  /**
   * Stores a decision; says whether it did: not if its TTL is 0, nor if what it was made from changed after
   * `fence`.
   *
   * @throws `ERR_INVALID_ARG_TYPE` for what is no query or no decision.
   */
  async set(query: PolicyQuery, decision: D, options: PolicySetOptions = {}): Promise<boolean> {
    const start = performance.now()
    const stored = this.#cache.setMany([this.#entry({ query, decision, ...options })])[0] === true
    if (stored) this.#metrics.count('sets')
    this.#metrics.set.record(start)
    return stored
  }

  /** Stores many decisions; says for each whether it did. If one of them is wrong, none is stored. */
  async setMany(entries: readonly PolicyEntry<D>[]): Promise<boolean[]> {
    if (!Array.isArray(entries)) throw wrongType(`the entries must be an array, not ${describe(entries)}`)
    const stored = this.#cache.setMany(entries.map((entry) => this.#entry(entry)))
    for (const isStored of stored) if (isStored) this.#metrics.count('sets')
    return stored
  }

  #entry({ query, decision, ttl, fence }: PolicyEntry<D>) {
    checkQuery(query)
    checkDecision(decision)
    if (ttl !== undefined) checkTtl(ttl)
    return {
      key: keyOf(this.#space, query),
      value: decision,
      ttl: this.#ttl.of(query.sensitivity, decision.allowed, ttl),
      tags: tagsOf(this.#space, query),
      ...(fence === undefined ? {} : { fence }),
    }
  }

  /** Removes the decision for `query`; says whether there was one. */
  async delete(query: PolicyQuery): Promise<boolean> {
    checkQuery(query)
    return this.#cache.delete(keyOf(this.#space, query))
  }

  /** Removes every decision. */
  async clear(): Promise<void> {
    this.#cache.clear()
  }

  /** How many decisions are held. Expired and invalidated ones count until they are removed. */
  async size(): Promise<number> {
    return this.#cache.size
  }

  /** Removes all expired decisions and returns how many there were; a `CleanupTask` does it in slices. */
  async cleanupExpired(): Promise<number> {
    return this.#cache.purgeStale()
  }

  /** Removes expired decisions for about `ms` of time, for a `CleanupTask`. */
  purgeSlice(ms: number): PurgeSlice {
    return this.#cache.purgeSlice(ms)
  }

  /** A number that stands for this moment; see `set`. `decide` does this by itself. */
  fence(): number {
    return this.#cache.fence()
  }

  /**
   * The decision for `query`, from the cache or else from an evaluation. Queries that are equal share one
   * evaluation, in all threads.
   *
   * @throws What `evaluate` throws, `ERR_CACHE_LOAD_TIMEOUT`, or `ERR_POLICY_REVISION`. There is never an
   * answer from nowhere.
   */
  async decide(query: PolicyQuery, options: DecideOptions<D> = {}): Promise<D> {
    const start = performance.now()
    checkQuery(query)
    checkOptions(options)
    const { evaluate = this.#evaluate, freshness = 'cached', minRevision } = options
    checkFunction(evaluate, 'evaluate')
    checkChoice(freshness, ['cached', 'bypass'], 'freshness')
    if (minRevision !== undefined) checkTtl(minRevision, 'minRevision')
    options.signal?.throwIfAborted()
    const request = this.#request(query, evaluate as Evaluate<D>, options)
    const cached = freshness === 'bypass' ? undefined : this.#cache.get(request.key)
    const isHit = cached !== undefined && isRecent(cached, minRevision)
    this.#count(isHit)
    this.#metrics.get.record(start)
    if (isHit) {
      if (request.refreshAhead > 0) this.#cache.loader.refreshIfDue(request)
      request.status.source = 'hit'
      return cached
    }
    const decision = await this.#load(request, freshness === 'bypass' || cached !== undefined)
    if (isRecent(decision, minRevision)) {
      if (request.status.source === 'stale') this.#metrics.count('stale')
      return decision
    }
    // It was stale, or shared with somebody who asked for less.
    const anew = await this.#load(request, true)
    if (isRecent(anew, minRevision)) return anew
    const found = anew.revision ?? 'none'
    throw new CacheError(
      'ERR_POLICY_REVISION',
      `revision ${minRevision} is needed, and the decision has ${found}`,
    )
  }

  async #load(request: Request<D>, isFresh: boolean): Promise<D> {
    return isFresh ? this.#cache.loader.loadFresh(request) : this.#cache.loader.loadMissing(request)
  }

  #request(query: PolicyQuery, evaluate: Evaluate<D>, options: DecideOptions<D>) {
    const { minRevision, signal, status = {} } = options
    const space = this.#space
    // Made on a miss only, and before anybody can change the query: what is evaluated is what was asked.
    let asked: PolicyQuery | undefined
    let tags: string[] | undefined
    const load = (context: LoadContext<D>) => this.#run(asked ?? query, evaluate, minRevision, context)
    return {
      ...requestOf(keyOf(space, query), load, this.#loading),
      get tags() {
        asked ??= snapshot(query)
        tags ??= tagsOf(space, asked)
        return tags
      },
      signal,
      status,
      onOutcome: (outcome: number) => {
        if (outcome === Outcome.Stored) this.#metrics.count('sets')
        else if (outcome === Outcome.Fenced) this.#metrics.count('fenced')
      },
      onError: () => this.#metrics.count('errors'),
    }
  }

  async #run(
    query: PolicyQuery,
    evaluate: Evaluate<D>,
    minRevision: number | undefined,
    context: LoadContext<D>,
  ): Promise<D> {
    const start = performance.now()
    this.#metrics.count('evaluations')
    try {
      const decision = await evaluate(query, { signal: context.signal, minRevision })
      checkDecision(decision)
      context.ttl = this.#ttl.of(query.sensitivity, decision.allowed)
      return decision
    } finally {
      this.#metrics.evaluation.record(start)
    }
  }

  /**
   * Sees to it that the decisions for `queries` are in the cache, evaluating those that are not, a few at a
   * time. An evaluation that fails does not stop the others.
   *
   * @param evaluate Instead of the one in the options.
   */
  async preload(
    queries: readonly PolicyQuery[],
    evaluate: Evaluate<D> | undefined = this.#evaluate,
  ): Promise<PreloadResult> {
    checkFunction(evaluate, 'evaluate')
    if (!Array.isArray(queries)) throw wrongType(`the queries must be an array, not ${describe(queries)}`)
    // All are checked before the first evaluation begins.
    const asked = queries.map((query) => {
      checkQuery(query)
      return { query, key: keyOf(this.#space, query) }
    })
    const result: PreloadResult = { loaded: 0, present: 0, failed: [] }
    const rest = asked.values()
    const work = async () => {
      for (const { query, key } of rest) {
        if (this.#cache.has(key)) {
          result.present++
          continue
        }
        try {
          await this.decide(query, { evaluate: evaluate as Evaluate<D> })
          result.loaded++
        } catch (error) {
          result.failed.push({ query, error })
        }
      }
    }
    await Promise.all(Array.from({ length: Math.min(PRELOAD_CONCURRENCY, queries.length) }, work))
    return result
  }

  /**
   * Makes every decision that has all the named parts a miss, on all threads, before it resolves, and keeps
   * out decisions whose evaluation has begun. It takes the same short time however many there are.
   *
   * The tenant is one of the parts: without one, decisions without a tenant are meant.
   *
   * @throws `ERR_OUT_OF_RANGE` if neither user, action nor resource is named: everything is `{ all: true }`.
   */
  async invalidate(what: Invalidation): Promise<void> {
    const tag = tagOf(this.#space, what)
    if (tag === undefined) this.#cache.clear()
    else this.#cache.invalidateTag(tag)
    this.#metrics.count('invalidations')
  }

  /** What happened in this object. */
  getMetrics(): PolicyMetrics {
    return { ...this.#metrics.read(), refreshes: this.#cache.loader.counts.refreshes }
  }

  /** Starts the metrics from zero. */
  resetMetrics(): void {
    this.#metrics.reset()
    this.#cache.loader.resetCounts()
  }

  /** Whether the cache can be used. Changes nothing: no entry, no order, no count. */
  async healthCheck(): Promise<PolicyHealth> {
    try {
      this.#cache.peek('health')
      const { size, bytes } = this.#cache
      return { healthy: true, engine: this.engine, size, bytes, error: undefined }
    } catch (error) {
      return { healthy: false, engine: this.engine, size: 0, bytes: 0, error }
    }
  }

  /** Lets go of the cache; every other method throws `ERR_CACHE_CLOSED` from then on. */
  close(): void {
    this.#cache.close()
  }

  [Symbol.dispose](): void {
    this.close()
  }
}

function checkDecision(decision: Decision): void {
  if (typeof decision !== 'object' || decision === null || typeof decision.allowed !== 'boolean') {
    throw wrongType('a decision must be an object whose field allowed is true or false')
  }
  const { revision } = decision
  if (revision !== undefined && (typeof revision !== 'number' || Number.isNaN(revision))) {
    throw wrongType(`the revision of a decision must be a number, not ${describe(revision)}`)
  }
}

/** Whether a decision was made from data of `revision` at least. */
function isRecent({ revision }: Decision, least: number | undefined): boolean {
  return least === undefined || (revision !== undefined && revision >= least)
}
