import type { Stored } from '../engine/stored.js'

/** What a load came to. */
export interface LoadResult<V> {
  /** Whether an invalidation overtook it. */
  readonly isFenced: boolean
  /** Whether the second tier had it. */
  readonly isRemote: boolean
  /** The value; a new one each time where it can be changed. */
  value(): V
  /** The value that all callers are given; `undefined` where each has its own, or none was asked for. */
  shared(): V | undefined
}

/** Makes a value for callers, and says whether all of them may have this one: it cannot be changed. */
export type Share<V> = (stored: Stored) => { value: V; isShared: boolean }

/** The result whose value is stored, or would be. */
export function resultOf<V>(
  stored: Stored,
  isFenced: boolean,
  share: Share<V>,
  isRemote = false,
): LoadResult<V> {
  let first: { value: V; isShared: boolean } | undefined
  return {
    isFenced,
    isRemote,
    value() {
      if (first?.isShared) return first.value
      const next = share(typeof stored === 'string' ? stored : new Uint8Array(stored))
      first ??= next
      return next.value
    },
    shared: () => (first?.isShared ? first.value : undefined),
  }
}
