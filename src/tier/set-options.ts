import { parseStoring, type SetOptions } from '../cache/set-options.js'
import type { TierFence } from '../cache/tier.js'
import { type Fence, unsealFence } from '../cache/tier-fence.js'

/** How one value is stored. */
export interface TierSetOptions extends Omit<SetOptions, 'fence'> {
  /** What {@link TieredCache.fence} returned before the value was loaded. */
  fence?: Fence | undefined
}

/** Checked {@link TierSetOptions}, with `expiresAt` as a TTL. */
export interface TierStoring {
  readonly ttl: number | undefined
  readonly tags: readonly string[] | undefined
  readonly fence: TierFence | undefined
}

/** Checks the last argument of `set`: ms to live, or options. */
export function parseTierSet(options: number | TierSetOptions | undefined): TierStoring {
  if (typeof options !== 'object' || options === null) {
    return { ...parseStoring(options, Date.now), fence: undefined }
  }
  const { fence, ...rest } = options
  const { ttl, tags } = parseStoring(rest, Date.now)
  return { ttl, tags, fence: fence === undefined ? undefined : unsealFence(fence, 'fence') }
}
