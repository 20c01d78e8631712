import type { EngineKind, EngineSettings } from '../common/settings.js'
import type { EngineStats } from '../engine/engine.js'
import type { LoadTotals } from '../loading/recorder.js'
import type { TierTotals } from './tier-counts.js'

/** What a cache is for. */
export type InspectableKind = 'cache' | 'policy'

/** What a cache holds, and what happened in it. */
export interface InspectedStats extends EngineStats {
  /** Entries held. */
  readonly size: number
  readonly bytes: number
  /** Loads under way, in all threads. */
  readonly loading: number
}

/** What all threads counted of decisions; histograms as in `common/latency`. */
export interface DecisionTotals {
  readonly hitsAllowed: number
  readonly hitsDenied: number
  /** Those that other processes had stored in the tier. */
  readonly remoteAllowed: number
  readonly remoteDenied: number
  readonly staleAllowed: number
  readonly staleDenied: number
  /** Evaluations that came to a decision. */
  readonly evaluatedAllowed: number
  readonly evaluatedDenied: number
  /** Evaluations that failed. */
  readonly errors: number
  /** Calls of `invalidate` and `invalidateTag`. */
  readonly invalidations: number
  /** One read of 64. */
  readonly get: Float64Array
}

/** An open cache, for whoever looks at all there are. A method throws `ERR_CACHE_CLOSED` once the cache is closed. */
export interface Inspectable {
  readonly kind: InspectableKind
  /** The name given, with the namespace of a policy cache before it; `undefined` for a private cache. */
  readonly name: string | undefined
  readonly engine: EngineKind
  readonly settings: EngineSettings
  /** Adds what this object alone has counted to what all objects of the cache tell. */
  flush(): void
  stats(): InspectedStats
  loads(): LoadTotals
  /** `undefined` for a cache of anything else. */
  decisions(): DecisionTotals | undefined
  /** `undefined` for a cache of this process alone. */
  tier?(): TierTotals | undefined
}

interface Entry {
  readonly inspectable: Inspectable
  readonly ref: WeakRef<object>
}

/** Its values know their keys, and live no longer. */
const entries = new WeakMap<object, Entry>()
const owners = new Set<WeakRef<object>>()
const collected = new FinalizationRegistry<WeakRef<object>>((ref) => owners.delete(ref))

/** Notes that `owner` is open, until it is unregistered or collected. */
export function register(owner: object, inspectable: Inspectable): void {
  const ref = new WeakRef(owner)
  entries.set(owner, { inspectable, ref })
  owners.add(ref)
  collected.register(owner, ref, ref)
}

/** Notes that `owner` was closed; nothing for one that is not registered, as a namespace is not. */
export function unregister(owner: object): void {
  const entry = entries.get(owner)
  if (entry === undefined) return
  entries.delete(owner)
  owners.delete(entry.ref)
  collected.unregister(entry.ref)
}

/**
 * What is open in this thread, in the order of opening: caches and policy caches, private ones too, each object by
 * itself where several have one name. Namespaces are parts of their caches, and not told apart.
 */
export function openCaches(): Inspectable[] {
  return [...owners].flatMap((ref) => {
    const owner = ref.deref()
    const entry = owner && entries.get(owner)
    return entry === undefined ? [] : [entry.inspectable]
  })
}
