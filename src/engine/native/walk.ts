import type { WalkedKey } from '../capabilities.js'
import type { Binding } from './binding.js'

/** Keys fetched in one crossing while walking over a cache. */
export const BATCH = 256

/** As `walk` of the engine, by the calls that it has at each step. */
export function* walk(binding: () => Binding, cache: number): Generator<WalkedKey[], void, undefined> {
  let stripe = 0
  let slot = 0
  while (stripe >= 0) {
    const batch = binding().walk(cache, stripe, slot, BATCH)
    stripe = batch[0] as number
    slot = batch[1] as number
    const slice: WalkedKey[] = []
    for (let at = 2; at < batch.length; at += 2) {
      slice.push({ key: batch[at] as string, uses: batch[at + 1] as number })
    }
    if (slice.length > 0) yield slice
  }
}
