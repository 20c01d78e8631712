import { describe, wrongType } from '../common/errors.js'
import type { Decision } from '../policy/decision.js'
import { PolicyCache } from '../policy/policy-cache.js'
import { DecisionRollout } from './decisions.js'
import type { RolloutOptions } from './setting.js'
import { CacheRollout, type ReadThrough } from './values.js'

export type { Rollout, RolloutStats } from './base.js'
export type { RolloutState } from './control.js'
export type { DecisionRollout } from './decisions.js'
export type {
  RolloutDifferenceMessage,
  RolloutErrorMessage,
  RolloutMessage,
  RolloutSource,
} from './events.js'
export type { RolloutChange, RolloutMode, RolloutOptions, RolloutSetting } from './setting.js'
export type { CacheRollout, ReadThrough } from './values.js'

/**
 * Puts a cache into service step by step: `off`, then `shadow`, then `on` for more and more users, with a kill switch.
 * All threads that call it with one name have one rollout. The cache itself knows nothing of it: invalidate there, in
 * every mode.
 *
 * Who has the last word, the strongest first: the kill switch (`kill()`, the file with `.kill` behind its name, or the
 * environment), the fall-back to `shadow` after a stale allow, `set()`, the file, the environment, the options.
 *
 * @throws `RangeError` or `TypeError` naming the option, or the variable of the environment.
 *
 * @example
 * const rolled = rollout(decisions, { name: 'decisions', mode: 'shadow' })
 * const { allowed } = await rolled.decide({ user: 'alice', action: 'read', resource: 'doc:1' })
 */
export function rollout<D extends Decision>(
  decisions: PolicyCache<D>,
  options: RolloutOptions,
): DecisionRollout<D>
export function rollout<V>(cache: ReadThrough<V>, options: RolloutOptions): CacheRollout<V>
export function rollout(
  cache: PolicyCache | ReadThrough,
  options: RolloutOptions,
): DecisionRollout | CacheRollout {
  if (cache instanceof PolicyCache) return new DecisionRollout(cache, options)
  const isReadable =
    typeof cache === 'object' && typeof cache?.getOrSet === 'function' && typeof cache.get === 'function'
  if (!isReadable) {
    throw wrongType(
      `what is rolled out must be a PolicyCache, or have getOrSet and get, not ${describe(cache)}`,
    )
  }
  return new CacheRollout(cache, options)
}
