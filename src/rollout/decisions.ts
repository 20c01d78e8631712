import { reading, wrongType } from '../common/errors.js'
import { evaluation, internals } from '../common/internals.js'
import type { Decision } from '../policy/decision.js'
import { requestOf } from '../policy/evaluation.js'
import { keyOf } from '../policy/key.js'
import { type DecideOptions, parseDecide } from '../policy/options.js'
import type { PolicyCache } from '../policy/policy-cache.js'
import { type PolicyQuery, readQuery } from '../policy/query.js'
import { Rollout } from './base.js'
import { loadDirectly } from './direct.js'
import type { RolloutMode, RolloutOptions } from './setting.js'
import { loadInShadow } from './shadow.js'

/** A `PolicyCache` that is rolled out. Everything but `decide` is done on the cache itself, in every mode. */
export class DecisionRollout<D extends Decision = Decision> extends Rollout {
  readonly #decisions: PolicyCache<D>

  /** @internal */
  constructor(decisions: PolicyCache<D>, options: RolloutOptions) {
    super(options)
    this.#decisions = decisions
  }

  /**
   * The decision for `query`, as from `PolicyCache.decide`; from the evaluation alone in the modes `off` and `shadow`,
   * where it is what the evaluation returned, neither a copy nor frozen.
   *
   * @throws As `PolicyCache.decide`; `ERR_CACHE_CLOSED` once the rollout is closed.
   */
  decide(query: PolicyQuery, options?: DecideOptions<D>): Promise<D> {
    try {
      const mode = this.control.modeFor(() => reading('the query', () => String(query?.user)))
      return mode === 'on' ? this.#decisions.decide(query, options) : this.#evaluate(mode, query, options)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  async #evaluate(
    mode: Exclude<RolloutMode, 'on'>,
    query: PolicyQuery,
    given: DecideOptions<D> = {},
  ): Promise<D> {
    const options = parseDecide(given)
    const { revision, host, ...own } = this.#decisions[evaluation]
    const { evaluate = own.evaluate, signal } = options
    const asked = readQuery(query)
    if (evaluate === undefined) {
      throw wrongType('evaluate must be a function, in the options of the cache or here')
    }
    signal?.throwIfAborted()
    const key = keyOf(revision, asked)
    const core = this.#decisions[internals]
    const request = { ...requestOf(host, key, asked, evaluate, options), signal }
    if (mode === 'off') return (await loadDirectly(request, core.engine.settings)).value
    return loadInShadow(core, request, options.freshness === 'bypass', (outcome, error) =>
      this.report(outcome, asked.user, key, error),
    )
  }
}
