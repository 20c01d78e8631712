import type { CacheCore } from '../cache/core.js'
import { type Fence, unsealFence } from '../cache/tier-fence.js'
import { wrongType } from '../common/errors.js'
import { Outcome } from '../engine/engine.js'
import type { Stored } from '../engine/stored.js'
import { checkDecision, type Decision } from './decision.js'
import { tagsOf } from './invalidation.js'
import { keyOf } from './key.js'
import type { PolicySetOptions } from './options.js'
import { type PolicyQuery, readQuery } from './query.js'
import type { DecisionTtl } from './ttl.js'

/** A decision as it is stored. */
export interface Prepared {
  readonly key: string
  readonly stored: Stored
  readonly ttl: number
  readonly fence: number | Fence | undefined
  readonly tags: readonly string[]
}

/** A decision that `set` was given, checked as it will be read. */
export function prepare<D extends Decision>(
  core: CacheCore<D>,
  revision: string,
  life: DecisionTtl,
  query: PolicyQuery,
  decision: unknown,
  { ttl, fence, tags = [] }: PolicySetOptions,
): Prepared {
  const asked = readQuery(query)
  const stored = core.encode(decision)
  const answer: unknown = core.decode(stored)
  checkDecision(answer)
  return {
    key: core.keyOf(keyOf(revision, asked)),
    stored,
    ttl: life.of(asked.sensitivity, answer.allowed, ttl),
    fence,
    tags: [...tagsOf(asked), ...tags],
  }
}

/** Stores a decision, in the tier too where there is one; says whether it did. */
export function store<D extends Decision>(
  core: CacheCore<D>,
  { key, stored, ttl, fence, tags }: Prepared,
): boolean | Promise<boolean> {
  const { tier } = core
  if (tier === undefined) {
    if (typeof fence === 'object') throw wrongType('fence must be what fence() of this cache returned')
    return core.store(key, stored, ttl, fence, tags) === Outcome.Stored
  }
  const entry = { key, stored, ttl, tags }
  if (fence === undefined) return tier.write(entry)
  return tier.fill(entry, unsealFence(fence, 'fence'))
}

/** What another process has stored, if it is a decision: whoever may write to the tier may have put anything there. */
export function readRemote<D extends Decision>(core: CacheCore<D>, stored: Stored): D | undefined {
  try {
    const { value } = core.share(stored)
    checkDecision(value)
    return value
  } catch {
    return undefined
  }
}
