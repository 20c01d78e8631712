import { outOfRange, reading } from '../common/errors.js'
import { checkText } from '../common/validate.js'
import { optional } from './key.js'
import { type AskedQuery, checkFields } from './query.js'

/** What {@link PolicyCache.invalidate} removes: everything that has all of these, or with `all` everything. */
export type Invalidation =
  | {
      readonly user?: string | undefined
      readonly action?: string | undefined
      readonly resource?: string | undefined
      /** The tenant meant; without it, every tenant and decisions without one. */
      readonly tenant?: string | undefined
      readonly all?: undefined
    }
  | { readonly all: true }

const KNOWN: ReadonlySet<string> = new Set(['user', 'action', 'resource', 'tenant', 'all'])

/** The parts by which decisions can be invalidated, in the order in which tags name them. */
const PARTS = ['user', 'action', 'resource'] as const

/** Every set of parts but the empty one, as bits. */
const SUBSETS = [1, 2, 4, 3, 5, 6, 7]

/** Those of them that are named together with a tenant. */
const WITHIN_TENANT = [0, 1, 2, 4]

type Named = Partial<Record<(typeof PARTS)[number] | 'tenant', string>>

function tag(
  named: { [K in keyof Named]?: string | undefined },
  subset: number,
  tenant: string | undefined,
): string {
  let out = `=${optional(tenant)}`
  for (let bit = 0; bit < PARTS.length; bit++) {
    out += optional((subset >> bit) & 1 ? named[PARTS[bit] as (typeof PARTS)[number]] : undefined)
  }
  return out
}

/**
 * The tags of a decision: one for each way to name it, alone, in pairs or as a whole; with a tenant, also for the tenant
 * and for each part within it.
 */
export function tagsOf(query: AskedQuery): string[] {
  const { tenant } = query
  const tags = SUBSETS.map((subset) => tag(query, subset, undefined))
  if (tenant !== undefined) for (const subset of WITHIN_TENANT) tags.push(tag(query, subset, tenant))
  return tags
}

/**
 * The tag that stands for an invalidation; `undefined` stands for everything. Where a tenant is named with several
 * parts, the tag is theirs in every tenant: it takes more than was named, and never less.
 *
 * @throws If nothing is named: that an empty set means everything would be a costly surprise.
 */
export function tagOf(invalidation: Invalidation): string | undefined {
  const { all, ...named } = readInvalidation(invalidation)
  const { tenant } = named
  const given = PARTS.filter((part) => named[part] !== undefined)
  if (all !== undefined) {
    if (all !== true || given.length > 0 || tenant !== undefined) {
      throw outOfRange('all must be true, and nothing else be named with it')
    }
    return undefined
  }
  if (given.length === 0 && tenant === undefined) {
    throw outOfRange('name a user, an action, a resource or a tenant, or say { all: true }')
  }
  for (const part of given) checkText(named[part], part)
  if (tenant !== undefined) checkText(tenant, 'tenant')
  const subset = PARTS.reduce((bits, part, bit) => (named[part] === undefined ? bits : bits | (1 << bit)), 0)
  return tag(named, subset, WITHIN_TENANT.includes(subset) ? tenant : undefined)
}

/** Each field, read once. */
function readInvalidation(invalidation: Invalidation): Named & { all: unknown } {
  return reading('what to invalidate', () => {
    checkFields(invalidation, KNOWN, 'what to invalidate')
    const { user, action, resource, tenant, all } = invalidation as Named & { all: unknown }
    return { user, action, resource, tenant, all } as Named & { all: unknown }
  })
}
