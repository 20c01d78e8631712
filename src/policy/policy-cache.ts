import { type CacheCore, openCore } from '../cache/core.js'
import { inspect, labelOf } from '../cache/inspect.js'
import type { Tier } from '../cache/tier.js'
import { type Fence, sealFence } from '../cache/tier-fence.js'
import { evaluation, internals } from '../common/internals.js'
import { abortSignal, callable } from '../common/options.js'
import type { EngineKind } from '../common/settings.js'
import { checkText, checkTtl, itemsOf } from '../common/validate.js'
import type { PurgeSlice } from '../engine/engine.js'
import { purgeFor } from '../engine/purge.js'
import { settingsOf } from '../loading/request.js'
import { Decider } from './decider.js'
import type { Decision, Evaluate } from './decision.js'
import type { Evaluating } from './evaluation.js'
import { healthOf, type PolicyHealth } from './health.js'
import { type Invalidation, tagOf } from './invalidation.js'
import { METRICS_SIZE, MetricsRecorder, type PolicyMetrics } from './metrics.js'
import {
  type CachedOptions,
  type DecideManyOptions,
  type DecideOptions,
  namedTag,
  type PolicyCacheOptions,
  type PolicyEntry,
  type PolicySetOptions,
  parseCached,
  parseDecide,
  parseDecideMany,
  parseEntry,
  parsePolicyOptions,
  parsePolicySet,
} from './options.js'
import { type PreloadResult, preload } from './preload.js'
import { type PolicyQuery, readQuery } from './query.js'
import { type Prepared, prepare, readRemote, store } from './storing.js'
import { DecisionTtl } from './ttl.js'

/** Those of a call that has none. */
const NO_OPTIONS: DecideOptions<never> = {}

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
  /** @internal */
  readonly [internals]: CacheCore<D>
  /** @internal */
  readonly [evaluation]: Evaluating<D>
  readonly #revision: string
  readonly #evaluate: Evaluate<D> | undefined
  readonly #decider: Decider<D>
  readonly #ttl: DecisionTtl
  readonly #metrics: MetricsRecorder

  /** @throws `RangeError` or `TypeError` naming the option; `CacheError` as for `Cache`. */
  constructor(options: PolicyCacheOptions<D> = {}) {
    const { own, cache, loading } = parsePolicyOptions(options)
    const { name, namespace = 'default', policyRevision = '0', ttl, denyTtl, evaluate, tier } = own
    this.#revision = policyRevision
    this.#ttl = new DecisionTtl(ttl, denyTtl)
    this.#evaluate = evaluate
    if (tier !== undefined && namespace !== 'default') tier.checkNamed(namespace)
    const shared = name === undefined ? undefined : `${namespace.length}:${namespace}${name}`
    const core = openCore<D>(cache, 'policy', shared, tier)
    this[internals] = core
    this.engine = core.engine.kind
    this.#metrics = new MetricsRecorder(core.engine.counters('policy', METRICS_SIZE))
    inspect(core, 'policy', labelOf(name, namespace), () => this.#metrics.totals())
    // The options are merged once; a call adds what is its own.
    const host = { settings: settingsOf({}, loading), ttl: this.#ttl, metrics: this.#metrics }
    this.#decider = new Decider(core, policyRevision, evaluate, host)
    this[evaluation] = { revision: policyRevision, evaluate, host }
  }

  #key(query: PolicyQuery): string {
    return this.#decider.keyOf(readQuery(query))
  }

  /** The decision for `query`, frozen, or `undefined`. */
  async get(query: PolicyQuery): Promise<D | undefined> {
    const decision = this.#decider.read(query, undefined)
    const { tier } = this[internals]
    return decision === undefined && tier !== undefined ? this.#remote(tier, this.#key(query)) : decision
  }

  /** The decisions for `queries`, in their order, each a copy of its own, `undefined` where there is none. */
  async getMany(queries: readonly PolicyQuery[]): Promise<(D | undefined)[]> {
    const keys = itemsOf(queries, 'the queries').map((query) => this.#key(query))
    const core = this[internals]
    core.near?.beforeWrite()
    const decisions = core.engine.getMany(keys).map((stored) => core.decodeFound(stored))
    for (const decision of decisions) this.#metrics.countRead(decision, undefined)
    const { tier } = core
    if (tier === undefined) return decisions
    return Promise.all(decisions.map((decision, at) => decision ?? this.#remote(tier, keys[at] as string)))
  }

  /** What the tier has, if it is a decision. */
  async #remote(tier: Tier, key: string): Promise<D | undefined> {
    const core = this[internals]
    const stored = await tier.get(key, (stored) => readRemote(core, stored) !== undefined)
    const decision = stored === undefined ? undefined : readRemote(core, stored)
    if (decision !== undefined) this.#metrics.countRemote(decision)
    return decision
  }

  /**
   * Stores a decision; says whether it did: not if its TTL is 0, nor if what it was made from changed after
   * `fence`.
   *
   * @throws `ERR_INVALID_ARG_TYPE` for what is no query or, as it is stored, no decision;
   * `ERR_CACHE_NOT_SERIALIZABLE` for a decision that holds more than JSON.
   */
  async set(query: PolicyQuery, decision: D, options: PolicySetOptions = {}): Promise<boolean> {
    const start = performance.now()
    const stored = await this.#store(this.#prepare(query, decision, parsePolicySet(options)))
    this.#metrics.record('set', start)
    return stored
  }

  /** Stores many decisions; says for each whether it did. If one of them is wrong, none is stored. */
  async setMany(entries: readonly PolicyEntry<D>[]): Promise<boolean[]> {
    const prepared = itemsOf(entries, 'the entries').map((entry) => {
      const { query, decision, ...options } = parseEntry(entry)
      return this.#prepare(query, decision, options)
    })
    return Promise.all(prepared.map((each) => this.#store(each)))
  }

  #prepare(query: PolicyQuery, decision: unknown, options: PolicySetOptions): Prepared {
    return prepare(this[internals], this.#revision, this.#ttl, query, decision, options)
  }

  #store(prepared: Prepared): boolean | Promise<boolean> {
    const isStored = store(this[internals], prepared)
    const count = (is: boolean) => {
      if (is) this.#metrics.count('sets')
      return is
    }
    return isStored instanceof Promise ? isStored.then(count) : count(isStored)
  }

  /** Removes the decision for `query`; says whether there was one. */
  async delete(query: PolicyQuery): Promise<boolean> {
    const core = this[internals]
    const key = this.#key(query)
    if (core.tier === undefined) return core.delete(key)
    const was = core.engine.has(key)
    await core.tier.change([{ kind: 'key', key }])
    return was
  }

  /** Removes the decisions of this name and namespace. Evaluations under way are not stored. */
  async clear(): Promise<void> {
    const { tier } = this[internals]
    if (tier === undefined) this[internals].clear()
    else await tier.change([{ kind: 'clear' }])
  }

  /** How many decisions are held. Expired ones count until they are read, evicted or purged. */
  async size(): Promise<number> {
    return this[internals].engine.size()
  }

  /** Removes all expired decisions and returns how many there were; a `CleanupTask` does it in slices. */
  async cleanupExpired(): Promise<number> {
    return purgeFor(this[internals].engine, Infinity).removed
  }

  /** Removes expired decisions for about `ms` of time, for a `CleanupTask`. */
  purgeSlice(ms: number): PurgeSlice {
    checkTtl(ms, 'ms')
    return purgeFor(this[internals].engine, ms)
  }

  /** A number that stands for this moment; see `set`. `decide` does this by itself. */
  fence(): number | Fence {
    const { engine, tier } = this[internals]
    return tier === undefined ? engine.fence() : sealFence(tier.fence())
  }

  /**
   * The decision for `query`, frozen, from the cache or else from an evaluation. Queries that are equal share one
   * evaluation, in all threads. That nothing overtook it is checked when the promise is resolved, one microtask before
   * its `await` goes on.
   *
   * @throws What `evaluate` throws, `ERR_CACHE_LOAD_TIMEOUT`, or `ERR_POLICY_REVISION`. There is never an
   * answer from nowhere.
   */
  decide(query: PolicyQuery, options?: DecideOptions<D>): Promise<D> {
    try {
      const parsed = options === undefined ? NO_OPTIONS : parseDecide(options)
      const decision = this.#decider.decide(readQuery(query), parsed)
      return decision instanceof Promise ? decision : Promise.resolve(decision)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /**
   * The decision for `query`, frozen, that is in the cache, or `undefined`: what `decide` would serve without an
   * evaluation, at once.
   *
   * @throws As {@link PolicyCache.get}.
   */
  cached(query: PolicyQuery, options?: CachedOptions): D | undefined {
    return this.#decider.read(query, options === undefined ? undefined : parseCached(options).minRevision)
  }

  /**
   * The decisions for `queries`, frozen, in their order: those in the cache are read in one go, and the others
   * evaluated, 16 at a time, as by {@link PolicyCache.decide}.
   *
   * @throws As `decide`, for the first query that is none before anything is read, and for the first evaluation that
   * fails; no more are begun then, and those under way are stored.
   */
  async decideMany(queries: readonly PolicyQuery[], options: DecideManyOptions<D> = {}): Promise<D[]> {
    return this.#decider.decideMany(itemsOf(queries, 'the queries'), parseDecideMany(options))
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
    const found = callable<Evaluate<D>>(evaluate, 'evaluate')
    // All are checked before the first evaluation begins.
    const asked = itemsOf(queries, 'the queries').map((query) => ({ query, key: this.#key(query) }))
    const { engine } = this[internals]
    return preload(
      asked.map(({ query, key }) => ({
        query,
        isPresent: () => engine.has(key),
        decide: () => this.decide(query, { evaluate: found }),
      })),
    )
  }

  /**
   * Makes every decision that has all the named parts a miss, on all threads, before it resolves, and keeps
   * out decisions whose evaluation has begun. It takes the same short time however many there are.
   *
   * Without a tenant, every tenant is meant. With one, that tenant; where several parts are named beside it, they are
   * taken in every tenant, so that more may go than was named, and never less.
   *
   * @throws `ERR_OUT_OF_RANGE` if neither user, action, resource nor tenant is named: everything is `{ all: true }`.
   */
  async invalidate(what: Invalidation): Promise<void> {
    const tag = tagOf(what)
    if (tag === undefined) await this.clear()
    else await this.#invalidate(tag)
    this.#metrics.count('invalidations')
  }

  /**
   * Makes every decision a miss, as {@link PolicyCache.invalidate} does, that `evaluate` or `set` gave the tag: a group,
   * a role, a policy.
   */
  async invalidateTag(tag: string): Promise<void> {
    checkText(tag, 'tag')
    await this.#invalidate(namedTag(tag))
    this.#metrics.count('invalidations')
  }

  async #invalidate(tag: string): Promise<void> {
    const core = this[internals]
    if (core.tier === undefined) core.engine.invalidateTag(tag)
    else await core.tier.change([{ kind: 'tag', tag }])
    core.onInvalidate('tag', tag)
  }

  /** What happened so far, in all threads that have these decisions open. */
  getMetrics(): PolicyMetrics {
    return this.#metrics.read()
  }

  /** Starts the metrics from zero, for all threads. */
  resetMetrics(): void {
    this.#metrics.reset()
  }

  /**
   * Resolves when decisions of this process may be served: at once without a tier, with one when changes of other
   * processes are heard of.
   *
   * @throws The reason of `signal`; `ERR_CACHE_CLOSED`.
   */
  async ready(signal?: AbortSignal): Promise<void> {
    await this[internals].tier?.ready(signal === undefined ? undefined : abortSignal(signal, 'signal'))
  }

  /** Whether the cache can be used. Changes nothing: no entry, no order, no count. */
  async healthCheck(): Promise<PolicyHealth> {
    const { engine, tier } = this[internals]
    return healthOf(engine, tier)
  }

  /** Lets go of the cache; every other method throws `ERR_CACHE_CLOSED` from then on. */
  close(): void {
    this.#metrics.flushIfOpen()
    this[internals].close()
  }

  [Symbol.dispose](): void {
    this.close()
  }
}
