import type { Clock } from '../common/clock.js'
import type { Engine } from '../engine/engine.js'
import type { Stored } from '../engine/stored.js'
import type { LoadEvents } from './load-events.js'
import type { LoadRecorder } from './recorder.js'
import type { Share } from './result.js'
import type { SecondTier } from './second-tier.js'

/** What loading asks of the cache that it loads for. */
export interface LoadHost<V> {
  readonly name: string | undefined
  readonly engine: Engine
  readonly clock: Clock
  /** Whether channels are told keys instead of their digests. */
  readonly traceKeys: boolean
  encode(value: V): Stored
  readonly share: Share<V>
  /** As `Engine.set`. */
  store(
    key: string,
    value: Stored,
    ttl: number,
    fence: number,
    tags: readonly string[] | undefined,
    grace: number,
  ): number
  /** Told what a load has made, for all to share, of what it stored. */
  loaded(key: string, stored: Stored, value: V): void
  /** What is counted for all threads. */
  readonly recorder: LoadRecorder
  /** Wakes whoever waits for a load in another thread. */
  readonly events: LoadEvents
  /** What is asked before a load, and told of its value. */
  readonly second?: SecondTier | undefined
}

/** The value under `key` that is stale for no more than `ms`. What was invalidated or removed never is. */
export function staleWithin<V>({ engine, share }: LoadHost<V>, key: string, ms: number): V | undefined {
  if (ms === 0) return undefined
  const found = engine.getStale(key)
  return found !== undefined && found[1] <= ms ? share(found[0]).value : undefined
}
