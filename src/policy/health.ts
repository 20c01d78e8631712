import type { EngineKind } from '../common/settings.js'
import type { Engine } from '../engine/engine.js'

/** What {@link PolicyCache.healthCheck} finds. */
export interface PolicyHealth {
  healthy: boolean
  engine: EngineKind
  size: number
  bytes: number
  /** Why it is not healthy. */
  error: unknown
}

/** Looks at an engine, changing nothing. */
export function healthOf(engine: Engine): PolicyHealth {
  const { kind } = engine
  try {
    engine.peek('health')
    return { healthy: true, engine: kind, size: engine.size(), bytes: engine.bytes(), error: undefined }
  } catch (error) {
    return { healthy: false, engine: kind, size: 0, bytes: 0, error }
  }
}
