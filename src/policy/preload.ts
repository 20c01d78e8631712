import { fewAtATime } from '../common/concurrency.js'
import type { PolicyQuery } from './query.js'

/** What {@link PolicyCache.preload} did. */
export interface PreloadResult {
  /** Decisions that were evaluated. */
  loaded: number
  /** Decisions that were in the cache. */
  present: number
  /** Queries whose evaluation failed, with the reason. */
  failed: { query: PolicyQuery; error: unknown }[]
}

/** Evaluations of one call that are under way at a time. */
export const CONCURRENCY = 16

interface Preloaded {
  readonly query: PolicyQuery
  isPresent(): boolean
  decide(): Promise<unknown>
}

/** Decides what is not present, a few at a time. */
export async function preload(queries: readonly Preloaded[]): Promise<PreloadResult> {
  const result: PreloadResult = { loaded: 0, present: 0, failed: [] }
  await fewAtATime(queries, CONCURRENCY, async ({ query, isPresent, decide }) => {
    if (isPresent()) {
      result.present++
      return
    }
    try {
      await decide()
      result.loaded++
    } catch (error) {
      result.failed.push({ query, error })
    }
  })
  return result
}
