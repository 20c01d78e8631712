import { describe, unreadable, wrongType } from '../common/errors.js'
import { freezeDeep } from '../common/freeze.js'
import { suggestion } from '../common/options.js'
import { checkText } from '../common/validate.js'
import { canonicalize } from './canonical.js'

/** How sensitive a resource is; it decides how long a decision about it is kept. */
export type Sensitivity = 'public' | 'internal' | 'confidential' | 'critical'

/** A question to the policy: may this user do this to that? */
export interface PolicyQuery {
  /** Who asks. */
  readonly user: string
  /** What is to be done. */
  readonly action: string
  /** What it is to be done to. */
  readonly resource: string
  /** Whose policy applies, where there are several. */
  readonly tenant?: string | undefined
  /**
   * Everything else that the decision depends on: roles, teams, address, time of day, parameters. Any JSON;
   * two queries are the same only if these are equal as a whole. `undefined` is as no context, and so is a field of it.
   */
  readonly context?: unknown
  /**
   * How long the decision is kept. It is a part of the question like the others: what is asked with another sensitivity
   * is decided by itself. What is missing or unknown is taken for `critical`.
   */
  readonly sensitivity?: Sensitivity | undefined
}

/**
 * A query as it was asked: each field of the caller's object was read once, and key, tags and evaluation are made of
 * this alone.
 */
export interface AskedQuery {
  readonly user: string
  readonly action: string
  readonly resource: string
  readonly tenant: string | undefined
  /** The context in its canonical form (RFC 8785); `undefined` for none. */
  readonly context: string | undefined
  readonly sensitivity: Sensitivity | undefined
}

const FIELDS = ['user', 'action', 'resource', 'tenant', 'context', 'sensitivity'] as const
const KNOWN: ReadonlySet<string> = new Set(FIELDS)

/** Throws if `value` is no object, or has a field of its own that is not in `known`. */
export function checkFields(
  value: unknown,
  known: ReadonlySet<string>,
  what: string,
): asserts value is object {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw wrongType(`${what} must be an object, not ${describe(value)}`)
  }
  for (const field in value) {
    // A field that we passed over would be missing from the key, and two questions would share an answer.
    if (known.has(field) || !Object.hasOwn(value, field)) continue
    const nearest = suggestion(field, [...known])
    const advice = nearest === undefined ? '' : `; did you mean ${nearest}?`
    throw wrongType(`${what} has an unknown field ${describe(field)}${advice}`)
  }
}

/**
 * Reads a query. Its fields may be inherited or have getters.
 *
 * @throws `ERR_INVALID_ARG_TYPE` or `ERR_OUT_OF_RANGE` for what is none, or has a field that would be passed over.
 */
export function readQuery(query: PolicyQuery): AskedQuery {
  try {
    checkFields(query, KNOWN, 'the query')
    const { user, action, resource, tenant, context, sensitivity } = query
    checkText(user, 'user')
    checkText(action, 'action')
    checkText(resource, 'resource')
    if (tenant !== undefined) checkText(tenant, 'tenant')
    if (sensitivity !== undefined) checkText(sensitivity, 'sensitivity')
    return {
      user,
      action,
      resource,
      tenant,
      context: context === undefined ? undefined : canonicalize(context),
      sensitivity,
    }
  } catch (error) {
    throw unreadable('the query', error)
  }
}

/** The query that is evaluated: plain, frozen, and with the context that its key was made of. */
export function evaluatedQuery({
  user,
  action,
  resource,
  tenant,
  context,
  sensitivity,
}: AskedQuery): PolicyQuery {
  const query = {
    user,
    action,
    resource,
    ...(tenant === undefined ? {} : { tenant }),
    ...(context === undefined ? {} : { context: JSON.parse(context) as unknown }),
    ...(sensitivity === undefined ? {} : { sensitivity }),
  }
  freezeDeep(query)
  return query
}
