import type { CacheCore } from '../cache/core.js'
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
  readonly fence: number | undefined
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
    key: keyOf(revision, asked),
    stored,
    ttl: life.of(asked.sensitivity, answer.allowed, ttl),
    fence,
    tags: [...tagsOf(asked), ...tags],
  }
}
