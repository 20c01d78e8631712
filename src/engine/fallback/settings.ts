import type { EngineSettings } from '../../common/settings.js'
import type { EngineOptions } from '../engine.js'
import { DEFAULT_MAX } from '../limits.js'

/** The options in force. */
export function settingsOf(options: EngineOptions): EngineSettings {
  const { max, maxSize, maxEntrySize, ttl, policy, updateAgeOnGet } = options
  const unbounded = max === undefined && maxSize === undefined
  return {
    max: max ?? (unbounded ? DEFAULT_MAX : Infinity),
    maxSize: maxSize ?? Infinity,
    maxEntrySize: maxEntrySize ?? Infinity,
    ttl: ttl ?? Infinity,
    policy: policy ?? 'lru',
    updateAgeOnGet: updateAgeOnGet ?? false,
  }
}
