import { CacheError, describe, wrongType } from '../common/errors.js'
import { duration } from '../common/options.js'
import { Outcome } from '../engine/engine.js'
import type { LoadContext } from '../loading/options.js'
import type { LoadRequest, LoadSettings } from '../loading/request.js'
import { checkDecision, type Decision, type Evaluate, type EvaluationContext, isRecent } from './decision.js'
import { tagsOf } from './invalidation.js'
import type { MetricsRecorder } from './metrics.js'
import { type DecideOptions, moreTags } from './options.js'
import { type AskedQuery, evaluatedQuery } from './query.js'
import type { DecisionTtl } from './ttl.js'

/** What evaluations of a cache have in common. */
export interface EvaluationHost {
  readonly settings: LoadSettings
  readonly ttl: DecisionTtl
  readonly metrics: MetricsRecorder
}

/** How a cache evaluates, for what is built on it. */
export interface Evaluating<D extends Decision> {
  readonly revision: string
  /** The evaluation of the options. */
  readonly evaluate: Evaluate<D> | undefined
  readonly host: EvaluationHost
}

/** The load that evaluates a query. */
export function requestOf<D extends Decision>(
  { settings, ttl, metrics }: EvaluationHost,
  key: string,
  asked: AskedQuery,
  evaluate: Evaluate<D>,
  { minRevision, signal, status, timeout = settings.timeout }: DecideOptions<D>,
): LoadRequest<D> {
  const given: EvaluationContext[] = []
  return {
    ...settings,
    key,
    subject: `the decision for ${describe(asked.user)}, ${describe(asked.action)}, ${describe(asked.resource)}`,
    tags: tagsOf(asked),
    signal,
    status,
    timeout,
    load: async (context) => {
      const own: EvaluationContext = {
        signal: context.signal,
        minRevision,
        ttl: undefined,
        tags: [],
        store: true,
      }
      given.push(own)
      const start = performance.now()
      metrics.count('evaluations')
      try {
        return await evaluate(evaluatedQuery(asked), own)
      } finally {
        metrics.record('evaluation', start)
      }
    },
    check: (decision, context) => {
      settle(ttl, asked, decision, context, given.at(-1))
      metrics.countEvaluated(decision)
    },
    validate: checkDecision,
    accepts: minRevision === undefined ? undefined : (decision) => isRecent(decision, minRevision),
    refusal: ({ revision }: Decision) => {
      const message = `revision ${minRevision} is needed, and the decision has ${revision ?? 'none'}`
      return new CacheError('ERR_POLICY_REVISION', message)
    },
    onOutcome: (outcome) => {
      if (outcome === Outcome.Stored) metrics.count('sets')
      else if (outcome === Outcome.Fenced) metrics.count('fenced')
    },
    onRefresh: () => metrics.count('refreshes'),
    onRemote: (decision) => metrics.countRemote(decision),
    onStale: (decision) => metrics.countStale(decision),
    onError: () => metrics.count('errors'),
  }
}

/** Sees to it that what was evaluated is a decision, and how it is kept. */
function settle<D extends Decision>(
  life: DecisionTtl,
  asked: AskedQuery,
  decision: D,
  context: LoadContext<D>,
  { ttl, tags, store }: Partial<EvaluationContext> = {},
): void {
  checkDecision(decision)
  if (ttl !== undefined) duration(ttl, 'ttl')
  if (typeof store !== 'boolean') throw wrongType(`store must be true or false, not ${describe(store)}`)
  context.ttl = life.of(asked.sensitivity, decision.allowed, ttl)
  context.tags = [...(context.tags ?? []), ...moreTags(tags, 'tags')]
  context.store = store
}
