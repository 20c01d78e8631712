import { describe, wrongType } from '../common/errors.js'
import type { PolicyQuery } from './query.js'

/** An answer to a {@link PolicyQuery}. Whatever else it holds must be JSON. */
export interface Decision {
  readonly allowed: boolean
  /** The revision of the data that it was made from, where the caller counts them; larger is newer. */
  readonly revision?: number | undefined
}

/** What an evaluation is given besides the query. It may change what is not read-only; that then holds for its result. */
export interface EvaluationContext {
  /** Aborted when nobody waits for the decision any more, and when it takes too long. */
  readonly signal: AbortSignal
  /** The revision of the data that the decision must be made from at least. */
  readonly minRevision: number | undefined
  /** Ms that the decision lives, instead of what its sensitivity says; a denial is still cut short. */
  ttl: number | undefined
  /** More names under which `invalidateTag` finds the decision, up to 100: a group, a policy, a role. */
  tags: readonly string[]
  /** Whether the decision is stored; `true` unless the evaluation says otherwise. */
  store: boolean
}

/** Finds a decision. It must not make one up: if it cannot tell, it throws. */
export type Evaluate<D extends Decision> = (query: PolicyQuery, context: EvaluationContext) => D | Promise<D>

/**
 * Throws unless `decision`, as it was stored, is one. Only what it has of its own counts: what JSON did not write, or
 * what `Object.prototype` was given, is none of it.
 */
export function checkDecision(decision: unknown): asserts decision is Decision {
  if (typeof decision !== 'object' || decision === null || typeof own(decision, 'allowed') !== 'boolean') {
    throw wrongType(
      `a decision must be an object whose field allowed is true or false, not ${shown(decision)}`,
    )
  }
  const revision = own(decision, 'revision')
  if (revision !== undefined && (typeof revision !== 'number' || Number.isNaN(revision))) {
    throw wrongType(`the revision of a decision must be a number, not ${describe(revision)}`)
  }
}

function shown(decision: unknown): string {
  return typeof decision === 'object' && decision !== null && !Array.isArray(decision)
    ? `one whose allowed is ${describe(own(decision, 'allowed'))}`
    : describe(decision)
}

function own(decision: object, field: string): unknown {
  return Object.hasOwn(decision, field) ? (decision as Record<string, unknown>)[field] : undefined
}

/** Whether a decision was made from data of `revision` at least. */
export function isRecent(decision: Decision, least: number | undefined): boolean {
  if (least === undefined) return true
  const revision = own(decision, 'revision')
  return typeof revision === 'number' && revision >= least
}
