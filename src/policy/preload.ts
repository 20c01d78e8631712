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

/** Evaluations that are under way at a time. */
const CONCURRENCY = 16

interface Preloaded {
  readonly query: PolicyQuery
  isPresent(): boolean
  decide(): Promise<unknown>
}

/** Decides what is not present, a few at a time. */
export async function preload(queries: readonly Preloaded[]): Promise<PreloadResult> {
  const result: PreloadResult = { loaded: 0, present: 0, failed: [] }
  const rest = queries.values()
  const work = async () => {
    for (const { query, isPresent, decide } of rest) {
      if (isPresent()) {
        result.present++
        continue
      }
      try {
        await decide()
        result.loaded++
      } catch (error) {
        result.failed.push({ query, error })
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(CONCURRENCY, queries.length) }, work))
  return result
}
