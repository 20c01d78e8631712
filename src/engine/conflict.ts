import { CacheError } from '../common/errors.js'
import type { Engine, EngineOptions } from './engine.js'

/** The options on which all that share a cache must agree. */
const COMPARED = [
  'max',
  'maxSize',
  'maxEntrySize',
  'ttl',
  'serializer',
  'policy',
  'updateAgeOnGet',
  'tiered',
] as const

/** What is open. */
interface InForce extends Pick<Engine, 'settings' | 'format'> {
  readonly tiered: boolean
}

/**
 * Throws if something is asked for that contradicts what is in force. What is left out agrees with anything, but
 * for `tiered`, which is `false` then.
 *
 * @throws `ERR_CACHE_OPTIONS_CONFLICT`
 */
export function assertAgrees(asked: EngineOptions, engine: InForce): void {
  const inForce = { ...engine.settings, serializer: engine.format, tiered: engine.tiered }
  const wanted = { ...asked, serializer: asked.format, tiered: asked.tiered ?? false }
  for (const option of COMPARED) {
    if (wanted[option] !== undefined && wanted[option] !== inForce[option]) {
      throw new CacheError(
        'ERR_CACHE_OPTIONS_CONFLICT',
        `${JSON.stringify(asked.label ?? asked.name)}: a cache of this name is open with another ${option}: ` +
          `${wanted[option]} is asked for, ${inForce[option]} is in force`,
      )
    }
  }
}
