import type { Tier } from '../cache/tier.js'
import type { TierHealth } from '../cache/tier-health.js'
import type { EngineKind } from '../common/settings.js'
import type { Engine } from '../engine/engine.js'

/** What {@link PolicyCache.healthCheck} finds. */
export interface PolicyHealth {
  healthy: boolean
  engine: EngineKind
  size: number
  bytes: number
  /** How the tier is; `undefined` where there is none. */
  tier: TierHealth | undefined
  /** Why it is not healthy. */
  error: unknown
}

/** Looks at an engine, changing nothing. */
export function healthOf(engine: Engine, given: Tier | undefined): PolicyHealth {
  const { kind } = engine
  const tier = given?.health()
  try {
    engine.peek('health')
    return { healthy: true, engine: kind, size: engine.size(), bytes: engine.bytes(), tier, error: undefined }
  } catch (error) {
    return { healthy: false, engine: kind, size: 0, bytes: 0, tier, error }
  }
}
