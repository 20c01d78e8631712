import { nameOnChannels, traced } from '../common/channels.js'
import { duration } from '../common/options.js'
import { Outcome } from '../engine/engine.js'
import type { FreshLoads } from './fresh-loads.js'
import { type LoadHost, staleWithin } from './host.js'
import { type LoadContext, tagList } from './options.js'
import { within } from './recursion.js'
import { type Sought, takeRemote } from './remote.js'
import { subjectOf } from './request.js'
import { resultOf } from './result.js'
import type { Missing } from './second-tier.js'
import { timedOut } from './time-budget.js'

/** One load. */
export interface Load<V> extends Sought<V> {
  /** The others like it, for one that looks at nothing that is cached. */
  readonly fresh: FreshLoads | undefined
}

/**
 * Finds the value of a request in the second tier, where there is one, or else by the function of the request.
 *
 * @param onLoad Told before the function is called.
 */
export async function runLoad<V>(
  owner: object,
  host: LoadHost<V>,
  load: Load<V>,
  onLoad: () => void,
): Promise<void> {
  const { second } = host
  const { request, flight } = load
  const { key } = request
  if (second === undefined) {
    onLoad()
    return loadValue(owner, host, load, undefined)
  }
  const missing = load.fresh === undefined ? await takeRemote(host, second, load) : second.skip()
  if (missing === undefined) return
  try {
    if (flight.isOver) return
    onLoad()
    await loadValue(owner, host, load, missing)
  } catch (error) {
    // Whoever waits may be served what was found stale, which is at hand until the end.
    flight.fail(error)
  } finally {
    second.end(key, missing)
  }
}

/** Calls the function of a request and stores what it returns, unless something overtook it. */
async function loadValue<V>(
  owner: object,
  host: LoadHost<V>,
  load: Load<V>,
  missing: Missing | undefined,
): Promise<void> {
  const { engine, clock, share } = host
  const { request, flight, fence, fresh } = load
  const { key, staleIfError, staleWhileRevalidate, hardTimeout } = request
  const start = clock.now()
  flight.startLoad(hardTimeout, () => timedOut(subjectOf(request), 'hardTimeout', hardTimeout))
  const grace = Math.max(staleIfError, staleWhileRevalidate)
  const context: LoadContext<V> = {
    signal: flight.signal,
    stale: staleWithin(host, key, grace),
    ttl: request.ttl ?? engine.settings.ttl,
    tags: request.tags,
    store: true,
  }
  const begun = performance.now()
  const value = await within(owner, key, () => call(host, load, context)).finally(() =>
    host.recorder.time(begun),
  )
  // Whoever waited has been told of the end already, and a newer load may be under way.
  if (flight.isOver) return
  const stored = host.encode(value)
  const result = resultOf(stored, false, share)
  request.check?.(result.value(), context)
  const life = lifeOf(duration(context.ttl ?? engine.settings.ttl, 'ttl'), request.ttlJitter)
  const tags = context.tags === undefined ? undefined : tagList(context.tags, 'tags')
  flight.check((more) => engine.permits(key, fence, more))
  // What was made of a stale value that was invalidated meanwhile is as old as that, whatever its own tags are.
  const isBasedOnLost = context.stale !== undefined && engine.getStale(key) === undefined
  // What its caller does not accept takes the place of nothing.
  const isStored = context.store && request.accepts?.(result.value()) !== false
  if (isBasedOnLost || !isStored) {
    const isFenced = isBasedOnLost || !engine.permits(key, fence, tags)
    flight.resolve(isFenced ? resultOf(stored, true, share) : result)
    return
  }
  const left = life === Infinity ? Infinity : Math.max(0, Math.floor(life - (clock.now() - start)))
  // The moment at which it is certain that the value holds, or does not: those who wait get it in the same turn.
  const outcome = host.store(key, stored, left, fence, tags, grace)
  if (outcome !== Outcome.Fenced) {
    if (missing !== undefined) host.second?.keep(key, stored, { ttl: life, grace }, tags ?? [], missing)
    fresh?.stored(key, fence, stored)
    flight.resolve(result)
    const shared = outcome === Outcome.Stored ? result.shared() : undefined
    if (shared !== undefined) host.loaded(key, stored, shared)
  } else {
    const newer = fresh?.since(key, fence, engine.peek(key))
    flight.resolve(resultOf(newer ?? stored, newer === undefined, share))
  }
  request.onOutcome?.(outcome)
}

function call<V>(host: LoadHost<V>, { request, isRefresh }: Load<V>, context: LoadContext<V>) {
  const { name, traceKeys } = host
  return traced(
    () => request.load(context),
    () => ({ name, key: nameOnChannels(request.key, traceKeys), isRefresh }),
  )
}

/** A TTL, shortened at random by up to the part that `jitter` says. */
function lifeOf(ttl: number, jitter: number): number {
  return jitter === 0 ? ttl : ttl * (1 - jitter * Math.random())
}
