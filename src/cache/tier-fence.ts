import { describe, wrongType } from '../common/errors.js'
import type { Parse } from '../common/options.js'
import type { TierFence } from './tier.js'

declare const fence: unique symbol

/** A moment, as `fence()` of a tiered cache gives it. */
export interface Fence {
  readonly [fence]: true
}

/** What each that was given out stands for. */
const moments = new WeakMap<object, TierFence>()

export function sealFence(moment: TierFence): Fence {
  const sealed = Object.freeze({}) as Fence
  moments.set(sealed, moment)
  return sealed
}

/** @throws `ERR_INVALID_ARG_TYPE` for anything that was not given out. */
export const unsealFence: Parse<TierFence> = (value, name) => {
  const moment = typeof value === 'object' && value !== null ? moments.get(value) : undefined
  if (moment === undefined) {
    throw wrongType(`${name} must be what fence() of this cache returned, not ${describe(value)}`)
  }
  return moment
}
