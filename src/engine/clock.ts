import { describe, outOfRange, wrongType } from '../common/errors.js'
import type { EngineClock, EngineOptions } from './engine.js'

/** The whole ms since it was made, by `clock`. They never go back. */
export function reader(clock: EngineClock): () => number {
  let origin: number | undefined
  let latest = 0
  return () => {
    const now: unknown = clock.now()
    if (typeof now !== 'number' || !Number.isFinite(now)) {
      throw wrongType(`clock.now() must return a finite number of ms, not ${describe(now)}`)
    }
    const ms = Math.floor(now)
    origin ??= ms
    if (ms - origin > latest) latest = ms - origin
    return latest
  }
}

/** Throws if a cache that is shared by name is to have a clock of its own. */
export function checkPrivate({ name, clock }: EngineOptions): void {
  if (name !== undefined && clock !== undefined) {
    throw outOfRange('a cache with a name is shared, and takes no clock of its own')
  }
}
