import type { CacheCore } from '../cache/core.js'
import type { TierFence } from '../cache/tier.js'
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
  readonly fence: number | TierFence | undefined
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
    fence: fenceOf(core, fence),
    tags: [...tagsOf(asked), ...tags],
  }
}

/** @throws `ERR_INVALID_ARG_TYPE` for a fence of another kind of cache. */
function fenceOf<D extends Decision>(
  core: CacheCore<D>,
  fence: number | Fence | undefined,
): number | TierFence | undefined {
  if (fence === undefined) return undefined
  if (core.tier === undefined && typeof fence === 'number') return fence
  const moment = unsealFence(fence, 'fence')
  if (moment.owner !== core.tier) throw wrongType('fence must be what fence() of this cache returned')
  return moment
}

/** Stores a decision, in the tier too where there is one; says whether it did. */
export function store<D extends Decision>(
  core: CacheCore<D>,
  { key, stored, ttl, fence, tags }: Prepared,
): boolean | Promise<boolean> {
  const { tier } = core
  if (tier === undefined) return core.store(key, stored, ttl, fence as number, tags) === Outcome.Stored
  const entry = { key, stored, ttl, tags }
  return fence === undefined ? tier.write(entry) : tier.fill(entry, fence as TierFence)
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
