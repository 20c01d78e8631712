import type { Engine } from '../engine/engine.js'
import { FallbackNearCache } from './fallback.js'
import { NativeNearCache } from './native.js'
import type { Decode, NearCache, NearOptions } from './near-cache.js'

/** The near cache of this thread for an engine. */
export function openNear<V>(
  engine: Engine,
  options: NearOptions,
  decode: Decode<V>,
  freezesAll = false,
): NearCache<V> {
  const { nearSource: source, settings } = engine
  return source.kind === 'rust'
    ? new NativeNearCache(source, decode, options, settings.max, freezesAll)
    : new FallbackNearCache(source, decode, options)
}
