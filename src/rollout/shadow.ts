import type { CacheCore } from '../cache/core.js'
import { duration } from '../common/options.js'
import { tagList } from '../loading/options.js'
import type { LoadRequest } from '../loading/request.js'
import { compare, isSame, type Outcome } from './compare.js'
import { type Direct, loadDirectly } from './direct.js'

/** What a call in shadow came to, for the figures. */
export type ShadowOutcome = Outcome | 'overtaken' | 'miss' | 'failed'

/** Told of a call once. */
type Report = (outcome: ShadowOutcome, error?: unknown) => void

/** What the cache would have done. */
interface Seen<V> {
  readonly value: V | undefined
  readonly fence: number
}

/**
 * Answers with a load, and compares with it what the cache would have served. Where it has nothing, the load is stored,
 * as it would have been. Whatever the cache does, the caller has its answer.
 *
 * @param isFresh Whether the cache would not have been asked.
 */
export async function loadInShadow<V>(
  core: CacheCore<V>,
  request: LoadRequest<V>,
  isFresh: boolean,
  report: Report,
): Promise<V> {
  let seen: Seen<V> | undefined
  let failure: unknown
  try {
    // Before the load: what is invalidated meanwhile is not stored.
    const fence = core.engine.fence()
    const found = isFresh ? undefined : core.get(request.key)
    seen = { fence, value: found !== undefined && request.accepts?.(found) === false ? undefined : found }
  } catch (error) {
    failure = error
  }
  const start = performance.now()
  const direct = await loadDirectly(request, core.engine.settings)
  if (seen === undefined) {
    report('failed', failure)
    return direct.value
  }
  try {
    report(look(core, request, seen, direct, start))
  } catch (error) {
    report('failed', error)
  }
  return direct.value
}

function look<V>(
  core: CacheCore<V>,
  request: LoadRequest<V>,
  { value: cached, fence }: Seen<V>,
  { value, context }: Direct<V>,
  start: number,
): ShadowOutcome {
  const stored = core.encode(value)
  if (cached !== undefined) {
    const outcome = compare(cached, core.decode(stored))
    if (outcome === 'match') return outcome
    // What was invalidated while the answer was found would not have been served after it.
    const now = core.peek(request.key)
    return now !== undefined && isSame(now, cached) ? outcome : 'overtaken'
  }
  if (!context.store) return 'miss'
  const ttl = duration(context.ttl ?? core.engine.settings.ttl, 'ttl')
  const tags = context.tags === undefined ? undefined : tagList(context.tags, 'tags')
  const left = ttl === Infinity ? ttl : Math.max(0, Math.floor(ttl - (performance.now() - start)))
  const grace = Math.max(request.staleIfError, request.staleWhileRevalidate)
  const outcome = core.store(request.key, stored, left, fence, tags, grace)
  request.onOutcome?.(outcome)
  return 'miss'
}
