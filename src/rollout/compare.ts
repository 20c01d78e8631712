import { isDeepStrictEqual } from 'node:util'

/**
 * What a comparison came to. `match`: the cache said the same. `stale_allow`: it would have let somebody in whom the
 * evaluation does not. `stale_deny`: the other way round. `differs`: the same answer, and something else beside it.
 */
export type Outcome = 'match' | 'stale_allow' | 'stale_deny' | 'differs'

function allowed(value: unknown): boolean | undefined {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, 'allowed')) return undefined
  const bit = (value as { allowed: unknown }).allowed
  return typeof bit === 'boolean' ? bit : undefined
}

/** Compares what the cache has with what the evaluation said, as it would be read from the cache. */
export function compare(cached: unknown, evaluated: unknown): Outcome {
  const [before, now] = [allowed(cached), allowed(evaluated)]
  if (before !== undefined && now !== undefined && before !== now)
    return before ? 'stale_allow' : 'stale_deny'
  return isSame(cached, evaluated) ? 'match' : 'differs'
}

export function isSame(one: unknown, other: unknown): boolean {
  return isDeepStrictEqual(one, other)
}
