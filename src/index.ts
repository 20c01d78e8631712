export {
  Cache,
  type CacheOptions,
  type CacheStats,
  type SetEntry,
  type SetOptions,
  type WrapOptions,
} from './cache.js'
export {
  type CleanupHealth,
  type CleanupMetrics,
  type CleanupOptions,
  CleanupTask,
  type Purgeable,
} from './cleanup.js'
export { CacheError, type CacheErrorCode } from './common/errors.js'
export { isRustCacheAvailable, rustCacheLoadError } from './engine/binding.js'
export type { EngineKind, EngineSettings, EngineStats, EvictionPolicy, PurgeSlice } from './engine/engine.js'
export type { GetOrSetOptions, LoadContext, LoadStatus } from './loading/options.js'
export type { NearOptions } from './near/near.js'
export type { Latency, PolicyMetrics } from './policy/metrics.js'
export {
  type DecideOptions,
  type Decision,
  type Evaluate,
  type EvaluationContext,
  PolicyCache,
  type PolicyCacheOptions,
  type PolicyEntry,
  type PolicyHealth,
  type PolicySetOptions,
  type PreloadResult,
} from './policy/policy-cache.js'
export type { Invalidation, PolicyQuery, Sensitivity } from './policy/query.js'
export type { SensitivityTtls } from './policy/ttl.js'
export { RustCache, type RustCacheOptions } from './rust-cache.js'
export type { SerializerName } from './serializer.js'
