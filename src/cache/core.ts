import { closed, debug, evicted, invalidated, nameOnChannels } from '../common/channels.js'
import { neverBack, systemClock, timeOfDay } from '../common/clock.js'
import { CacheError } from '../common/errors.js'
import { freezeDeep, freezeParsed } from '../common/freeze.js'
import { Lifetime } from '../common/lifetime.js'
import type { EngineSettings } from '../common/settings.js'
import { startTimer } from '../common/timers.js'
import { type Engine, type EngineStats, Outcome } from '../engine/engine.js'
import { openEngine } from '../engine/open.js'
import type { Stored } from '../engine/stored.js'
import { LoadEvents } from '../loading/load-events.js'
import { Loader } from '../loading/loader.js'
import type { LoadingOptions } from '../loading/options.js'
import { LoadRecorder, type LoadTotals } from '../loading/recorder.js'
import type { NearCache } from '../near/near-cache.js'
import { openNear } from '../near/open.js'
import { FORMATS, type JsonMode, serializerOf } from '../serializer/serializer.js'
import { type CacheKind, engineName } from './kind.js'
import type { CacheOptions } from './options.js'
import type { CoreParts } from './parts.js'
import { unregister } from './registry.js'
import type { Tier, TierFactory } from './tier.js'

/** Ms between two looks at what was evicted, while somebody wants to know. */
const EVICTIONS_EVERY = 100

/** How to let go of what a core holds. Made where the core is not in scope, which would keep it from being collected. */
function closing(events: LoadEvents): () => void {
  return () => events.close()
}

const same = (key: string): string => key

/** All that there are, so that one can be told from whatever else is passed. */
const cores = new WeakSet<object>()

export function isCore(value: object): boolean {
  return cores.has(value)
}

/** What a cache is made of: an engine, a serializer, decoded copies and a loader. All verbs of `Cache` work on one. */
export class CacheCore<V> {
  /** The name given; `undefined` for a private cache. */
  readonly name: string | undefined
  readonly kind: CacheKind
  /** The name by which threads, and other caches of this one, know it; `undefined` for a private cache. */
  readonly engineName: string | undefined
  readonly engine: Engine
  readonly settings: EngineSettings
  readonly near: NearCache<V> | undefined
  readonly loader: Loader<V>
  readonly loading: LoadingOptions
  /** What other processes share of it, where they do. */
  readonly tier: Tier | undefined
  /** The key as the engine knows it. */
  readonly keyOf: (key: string) => string
  /** Ms since the epoch, by the cache's clock. */
  readonly timeOfDay: () => number
  readonly #parts: CoreParts
  readonly #lifetime: Lifetime
  #lastStats: EngineStats | undefined
  #evictionTimer: NodeJS.Timeout | undefined
  /** The namespaces within this one that this thread has open. */
  readonly #spaces = new Map<string, CacheCore<unknown>>()
  #isClosed = false

  constructor(parts: CoreParts) {
    const { name, engine, serializer, near, loading, clock, traceKeys } = parts
    this.#parts = parts
    cores.add(this)
    this.name = name
    this.kind = parts.kind
    this.engineName = parts.loadEvents
    this.engine = engine
    this.loading = loading
    this.timeOfDay = timeOfDay(clock)
    const { maxEntrySize, maxSize } = engine.settings
    this.settings = { ...engine.settings, maxEntrySize: Math.min(maxEntrySize, maxSize) }
    this.near =
      near === false
        ? undefined
        : openNear(engine, near, (stored) => serializer.decode(stored) as V, parts.kind === 'policy')
    this.keyOf = parts.tier?.keyOf ?? same
    this.tier = parts.tier?.open(this)
    const loadEvents = new LoadEvents(parts.loadEvents)
    this.#lifetime = new Lifetime(this, closing(loadEvents))
    this.loader = new Loader<V>({
      name,
      engine,
      clock: clock === undefined ? systemClock : neverBack(clock),
      traceKeys,
      recorder: parts.recorder,
      events: loadEvents,
      encode: (value) => serializer.encode(value),
      share: (stored) => this.share(stored),
      store: (...entry) => this.store(...entry),
      loaded: (key, stored, value) => this.near?.loaded(key, stored, value),
      second: this.tier?.second,
    })
  }

  encode(value: unknown): Stored {
    return this.#parts.serializer.encode(value)
  }

  /** A value of the caller's own. */
  decode(stored: Stored): V {
    return this.#parts.serializer.decode(stored) as V
  }

  /** A value that all callers may have, where it cannot be changed. */
  share(stored: Stored): { value: V; isShared: boolean } {
    const value = this.decode(stored)
    if (this.near === undefined || value instanceof Uint8Array) return { value, isShared: false }
    return { value, isShared: typeof stored === 'string' ? freezeParsed(value) : freezeDeep(value) }
  }

  decodeFound(stored: Stored | undefined): V | undefined {
    return stored === undefined ? undefined : this.decode(stored)
  }

  get(key: string): V | undefined {
    return this.near === undefined ? this.decodeFound(this.engine.get(key)) : this.near.get(key)
  }

  peek(key: string): V | undefined {
    return this.near === undefined ? this.decodeFound(this.engine.peek(key)) : this.near.peek(key)
  }

  /** As `Engine.set`. */
  store(
    key: string,
    value: Stored,
    ttl?: number,
    fence?: number,
    tags?: readonly string[],
    grace?: number,
  ): number {
    this.onWrite()
    const outcome = this.engine.set(key, value, ttl, fence, tags, grace)
    if (outcome === Outcome.Stored) this.near?.wrote(key)
    return outcome
  }

  /** To be called after this thread has stored or removed a value in the engine. */
  wrote(key: string): void {
    this.near?.wrote(key)
  }

  /** To be called before anything is stored: what that evicts follows from the reads before it. */
  onWrite(): void {
    this.near?.beforeWrite()
    if (evicted.hasSubscribers && this.#evictionTimer === undefined) this.#watchEvictions()
  }

  #watchEvictions(): void {
    this.#lastStats ??= this.engine.stats()
    const before = this.#lastStats
    this.#evictionTimer = startTimer(EVICTIONS_EVERY, () => {
      this.#evictionTimer = undefined
      const now = this.#readStats() ?? before
      this.#lastStats = now
      const message = {
        name: this.name,
        max: Math.max(0, now.evictionsByMax - before.evictionsByMax),
        maxSize: Math.max(0, now.evictionsByMaxSize - before.evictionsByMaxSize),
        expired: Math.max(0, now.expirations - before.expirations),
      }
      if (message.max + message.maxSize + message.expired > 0) evicted.publish(message)
    })
  }

  /** The statistics; `undefined` where the cache was closed, as a namespace is with its cache. */
  #readStats(): EngineStats | undefined {
    try {
      return this.engine.stats()
    } catch {
      return undefined
    }
  }

  /** Tells of what was invalidated, if anybody wants to know. */
  onInvalidate(kind: 'key' | 'tag' | 'clear', what?: string): void {
    if (!invalidated.hasSubscribers) return
    const named = what === undefined ? undefined : nameOnChannels(what, this.#parts.traceKeys)
    invalidated.publish({ name: this.name, kind, what: named })
  }

  /** Removes the value under `key`; says whether there was one. */
  delete(key: string): boolean {
    const was = this.engine.delete(key)
    if (was) this.near?.wrote(key)
    this.onInvalidate('key', key)
    return was
  }

  /** What all threads counted of the loads of the whole cache, namespaces included. */
  loads(): LoadTotals {
    return this.#parts.recorder.read()
  }

  /** Reports what was read, here and in namespaces, where it counts. */
  flush(): void {
    this.near?.flush()
    for (const space of this.#spaces.values()) space.flush()
  }

  clear(): void {
    this.engine.clear()
    this.near?.clear()
    this.onInvalidate('clear')
  }

  /** The part of the cache that is kept apart under a name. */
  namespace<W>(space: string): CacheCore<W> {
    const known = this.#spaces.get(space)
    if (known !== undefined && !known.#isClosed) return known as unknown as CacheCore<W>
    const { name, loadEvents } = this.#parts
    // Namespaces of engines lie side by side: one within another has the names on the way to it.
    const path = `${this.#parts.path}${space.length}:${space}`
    const core = new CacheCore<W>({
      ...this.#parts,
      name: name === undefined ? space : `${name}#${space}`,
      engine: this.engine.namespace(path),
      path,
      loadEvents: loadEvents === undefined ? undefined : `${loadEvents}#${space.length}:${space}`,
    })
    this.#spaces.set(space, core as CacheCore<unknown>)
    return core
  }

  close(): void {
    if (!this.#isClosed) {
      for (const space of this.#spaces.values()) space.close()
      this.tier?.close()
      this.near?.clear()
      clearTimeout(this.#evictionTimer)
      this.#parts.recorder.flushIfOpen()
      unregister(this)
      debug('closed %s', this.name ?? 'a private cache')
      if (closed.hasSubscribers) closed.publish({ name: this.name })
    }
    this.#isClosed = true
    this.engine.close()
    this.#lifetime.end()
  }
}

/** Opens a cache. `shared` is the name by which the engine knows it, where that is not the kind and the name alone. */
export function openCore<V>(
  options: CacheOptions,
  kind: CacheKind = 'cache',
  shared: string | undefined = options.name,
  tier?: TierFactory,
): CacheCore<V> {
  const { name, near = {}, loading = {}, clock, traceKeys = false, json = 'strict' } = options
  const { max, maxSize, maxEntrySize, ttl, updateAgeOnGet, policy, serializer } = options
  tier?.check(name)
  const inEngine = shared === undefined ? undefined : engineName(kind, shared)
  const engine = openEngine(
    {
      name: inEngine,
      max,
      maxSize,
      maxEntrySize,
      ttl,
      updateAgeOnGet,
      policy,
      clock,
      format: serializer && FORMATS[serializer],
      label: name,
      tiered: tier !== undefined,
    },
    options.engine,
  )
  const found = serializerOf(engine.format, json as JsonMode)
  if (found === undefined) {
    engine.close()
    throw new CacheError('ERR_CACHE_OPTIONS_CONFLICT', `${JSON.stringify(name)} is open as a RustCache`)
  }
  return new CacheCore<V>({
    name,
    engine: tier === undefined ? engine : tier.wrap(engine),
    serializer: found,
    near,
    loading,
    clock,
    traceKeys,
    kind,
    recorder: new LoadRecorder(engine),
    path: '',
    loadEvents: inEngine,
    tier,
  })
}
