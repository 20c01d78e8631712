/** Which engine serves a cache: the native one or the one in JavaScript. */
export type EngineKind = 'rust' | 'js'

/** Which value leaves when there is no room: the least recently used one, or the one that S3-FIFO chooses. */
export type EvictionPolicy = 'lru' | 's3fifo'

/** The policies, at the numbers by which the native engine knows them. */
export const POLICIES: readonly EvictionPolicy[] = ['lru', 's3fifo']

/** The options that an engine works with; `Infinity` where there is no limit. */
export interface EngineSettings {
  readonly max: number
  readonly maxSize: number
  readonly maxEntrySize: number
  readonly ttl: number
  readonly policy: EvictionPolicy
  /** Whether each `get` renews the TTL of what it finds. */
  readonly updateAgeOnGet: boolean
}
