import type { Engine, PurgeSlice } from './engine.js'

/** Entries looked at between two looks at the clock. */
const STEP = 128

/** Removes expired entries for about `ms` of time; says whether any are left. */
export function purgeFor(engine: Engine, ms: number): PurgeSlice {
  const end = performance.now() + ms
  let removed = 0
  for (;;) {
    const slice = engine.purge(STEP)
    removed += slice.removed
    if (slice.done || performance.now() >= end) return { removed, done: slice.done }
  }
}
