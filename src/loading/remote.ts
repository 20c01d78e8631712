import { Outcome } from '../engine/engine.js'
import type { Flight } from './flight.js'
import type { LoadHost } from './host.js'
import type { LoadRequest } from './request.js'
import { type LoadResult, resultOf } from './result.js'
import type { Found, Missing, SecondTier } from './second-tier.js'

/** A load, as far as it is to find its value elsewhere. */
export interface Sought<V> {
  readonly request: LoadRequest<V>
  /** What it ends. */
  readonly flight: Flight<LoadResult<V>>
  /** The fence taken before it. */
  readonly fence: number
  /** Whether a value is served meanwhile. */
  readonly isRefresh: boolean
}

/**
 * Ends a load by what the second tier has. What it returns instead of that is to be passed on with what is loaded then.
 */
export async function takeRemote<V>(
  host: LoadHost<V>,
  second: SecondTier,
  load: Sought<V>,
): Promise<Missing | undefined> {
  const { request, flight, isRefresh } = load
  const { key, refreshAhead } = request
  const known = isRefresh ? undefined : request.missing?.()
  if (known !== undefined) return known
  const answer = await second.find(key, isRefresh ? refreshAhead : undefined, () => flight.isOver)
  if (answer.kind === 'missing') return answer
  if (flight.isOver) return undefined
  if (answer.kind === 'refreshed') {
    const stored = host.engine.peek(key)
    if (stored === undefined && flight.isAwaited) return second.skip()
    if (stored === undefined) flight.end()
    else flight.resolve(resultOf(stored, false, host.share))
    return undefined
  }
  return take(host, second, load, answer) ? undefined : second.skip()
}

/** Stores a value that was found, and gives it to all who wait; `false` if it is none that they may be given. */
function take<V>(host: LoadHost<V>, second: SecondTier, load: Sought<V>, found: Found): boolean {
  const { engine, share } = host
  const { request, flight, fence } = load
  const { stored } = found
  const result = resultOf(stored, false, share, true)
  try {
    // Whoever may write to the second tier may have put anything there.
    const value = result.value()
    request.validate?.(value)
    if (request.accepts?.(value) === false) return false
  } catch {
    second.refuse()
    return false
  }
  flight.check((more) => engine.permits(request.key, fence, more))
  const outcome = second.adopt(request.key, found, fence)
  if (outcome === Outcome.Expired) return false
  if (outcome === Outcome.Fenced) {
    flight.resolve(resultOf(stored, true, share))
    return true
  }
  flight.resolve(result)
  request.onRemote?.(result.value())
  const shared = outcome === Outcome.Stored ? result.shared() : undefined
  if (shared !== undefined) host.loaded(request.key, stored, shared)
  return true
}
