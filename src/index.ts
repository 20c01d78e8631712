export type { IncrementOptions } from './cache/atomic.js'
export { Cache } from './cache/cache.js'
export type { CacheOptions } from './cache/options.js'
export { RustCache, type RustCacheOptions } from './cache/rust-cache.js'
export type { SetEntry, SetOptions } from './cache/set-options.js'
export type { CacheStats } from './cache/stats.js'
export type { WrapOptions, Wrapped } from './cache/wrap.js'
export {
  type CleanupHealth,
  type CleanupMetrics,
  type CleanupOptions,
  CleanupTask,
  type Purgeable,
} from './cleanup/cleanup-task.js'
export type {
  BackgroundErrorMessage,
  CleanupMessage,
  CloseMessage,
  EvictMessage,
  InvalidateMessage,
  LoadMessage,
  OpenMessage,
} from './common/channels.js'
export type { Clock } from './common/clock.js'
export { CacheError, type CacheErrorCode } from './common/errors.js'
export type { Latency } from './common/latency.js'
export type { EngineKind, EngineSettings, EvictionPolicy } from './common/settings.js'
export type { EngineStats, PurgeSlice } from './engine/engine.js'
export { isRustCacheAvailable, rustCacheLoadError } from './engine/native/load.js'
export type { GetOrSetOptions, LoadContext, LoadingOptions, LoadStatus } from './loading/options.js'
export type { NearOptions } from './near/near-cache.js'
export type { Decision, Evaluate, EvaluationContext } from './policy/decision.js'
export type { PolicyHealth } from './policy/health.js'
export type { Invalidation } from './policy/invalidation.js'
export type { PolicyMetrics } from './policy/metrics.js'
export type {
  CachedOptions,
  DecideManyOptions,
  DecideOptions,
  PolicyCacheOptions,
  PolicyEntry,
  PolicySetOptions,
} from './policy/options.js'
export { PolicyCache } from './policy/policy-cache.js'
export type { PreloadResult } from './policy/preload.js'
export type { PolicyQuery, Sensitivity } from './policy/query.js'
export type { SensitivityTtls } from './policy/ttl.js'
export type { JsonMode, SerializerName } from './serializer/serializer.js'
