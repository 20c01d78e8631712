import type { Clock } from '../common/clock.js'
import type { Engine } from '../engine/engine.js'
import type { LoadingOptions } from '../loading/options.js'
import type { LoadRecorder } from '../loading/recorder.js'
import type { NearOptions } from '../near/near-cache.js'
import type { Serializer } from '../serializer/serializer.js'
import type { CacheKind } from './kind.js'
import type { TierFactory } from './tier.js'

/** What a core is put together from. */
export interface CoreParts {
  readonly name: string | undefined
  readonly kind: CacheKind
  readonly engine: Engine
  readonly serializer: Serializer
  readonly near: NearOptions | false
  readonly loading: LoadingOptions
  readonly clock: Clock | undefined
  readonly traceKeys: boolean
  /** Counts the loads of the whole cache. */
  readonly recorder: LoadRecorder
  /** The namespaces on the way from the root of the cache to this part of it. */
  readonly path: string
  /** The name by which threads tell each other of loads that ended; `undefined` for a cache of one thread. */
  readonly loadEvents: string | undefined
  readonly tier?: TierFactory | undefined
}
