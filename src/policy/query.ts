import { describe, outOfRange, wrongType } from '../common/errors.js'
import { freezeDeep } from '../common/freeze.js'
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
  readonly tenant?: string
  /**
   * Everything else that the decision depends on: roles, teams, address, time of day, parameters. Any JSON;
   * two queries are the same only if these are equal as a whole.
   */
  readonly context?: unknown
  /** Not part of the question. What is missing or unknown is taken for `critical`. */
  readonly sensitivity?: Sensitivity
}

/** What {@link PolicyCache.invalidate} removes: everything that has all of these, or with `all` everything. */
export type Invalidation =
  | {
      readonly user?: string
      readonly action?: string
      readonly resource?: string
      readonly tenant?: string
      readonly all?: undefined
    }
  | { readonly all: true }

const QUERY_FIELDS = new Set(['user', 'action', 'resource', 'tenant', 'context', 'sensitivity'])
const INVALIDATION_FIELDS = new Set(['user', 'action', 'resource', 'tenant', 'all'])

/** The version of the form of keys; it is part of every key. */
const FORMAT = '1'

function checkFields(value: unknown, known: ReadonlySet<string>, what: string): void {
  if (typeof value !== 'object' || value === null) {
    throw wrongType(`${what} must be an object, not ${describe(value)}`)
  }
  for (const field of Object.keys(value)) {
    // A field that we passed over would be missing from the key, and two questions would share an answer.
    if (!known.has(field)) throw wrongType(`${what} has an unknown field ${JSON.stringify(field)}`)
  }
}

/** Throws unless `query` is one, with no field that would be passed over. */
export function checkQuery(query: PolicyQuery): void {
  checkFields(query, QUERY_FIELDS, 'the query')
  checkText(query.user, 'user')
  checkText(query.action, 'action')
  checkText(query.resource, 'resource')
  if (query.tenant !== undefined) checkText(query.tenant, 'tenant')
}

/** A text from which each of the parts can be read back, whatever characters they hold. */
function join(parts: readonly string[]): string {
  return parts.map((part) => `${part.length}:${part}`).join('')
}

/** A part that may be missing, told apart from every text. */
function optional(part: string | undefined): string {
  return part === undefined ? '-' : `+${part}`
}

/** What keys and tags have in common within one policy cache. */
export interface KeySpace {
  readonly namespace: string
  readonly policyRevision: string
}

/**
 * The key of a query: the whole SHA-256, in base64url, of its parts, each with its length before it. Two
 * queries have one key if and only if they are equal, their contexts by RFC 8785.
 */
export function keyOf(space: KeySpace, query: PolicyQuery): string {
  const { user, action, resource, tenant, context } = query
  const tuple = join([
    FORMAT,
    space.namespace,
    space.policyRevision,
    optional(tenant),
    user,
    action,
    resource,
    optional(context === undefined ? undefined : canonicalize(context)),
  ])
  // Loaded with the first decision: a program without any never needs it, and it takes a while.
  const { createHash } = require('node:crypto') as typeof import('node:crypto')
  // As UTF-16: the UTF-8 form of a lone surrogate is that of every other one.
  return createHash('sha256').update(tuple, 'utf16le').digest('base64url')
}

/** A copy of a query, down to the last part of its context, that nobody can change. */
export function snapshot(query: PolicyQuery): PolicyQuery {
  const copy = structuredClone(query)
  freezeDeep(copy)
  return copy
}

/** The parts by which decisions can be invalidated, in the order in which tags name them. */
const PARTS = ['user', 'action', 'resource'] as const

/** Every set of parts but the empty one, as bits. */
const SUBSETS = [1, 2, 4, 3, 5, 6, 7]

type Named = { user?: string; action?: string; resource?: string; tenant?: string }

function tag(space: KeySpace, named: Named, subset: number): string {
  const parts = PARTS.map((part, bit) => optional((subset >> bit) & 1 ? named[part] : undefined))
  return join([space.namespace, optional(named.tenant), ...parts])
}

/** The tags of a decision: one for each way to name it, alone, in pairs or as a whole. */
export function tagsOf(space: KeySpace, query: PolicyQuery): string[] {
  return SUBSETS.map((subset) => tag(space, query, subset))
}

/**
 * The tag that stands for an invalidation; `undefined` stands for everything.
 *
 * @throws If nothing is named: that an empty set means everything would be a costly surprise.
 */
export function tagOf(space: KeySpace, invalidation: Invalidation): string | undefined {
  checkFields(invalidation, INVALIDATION_FIELDS, 'what to invalidate')
  const named = invalidation as Named
  const given = PARTS.filter((part) => named[part] !== undefined)
  if (invalidation.all !== undefined) {
    if (invalidation.all !== true || given.length > 0) {
      throw outOfRange('all must be true, and nothing else be named with it')
    }
    return undefined
  }
  if (given.length === 0) throw outOfRange('name a user, an action or a resource, or say { all: true }')
  for (const part of given) checkText(named[part], part)
  if (named.tenant !== undefined) checkText(named.tenant, 'tenant')
  const subset = PARTS.reduce((bits, part, bit) => (named[part] === undefined ? bits : bits | (1 << bit)), 0)
  return tag(space, named, subset)
}
