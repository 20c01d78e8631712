import { type Inspectable, openCaches } from '../cache/registry.js'
import { debug } from '../common/channels.js'
import type { CacheSnapshot } from './samples.js'

/** What was told of a cache the last time. */
interface Told {
  readonly hits: number
  readonly engineHits: number
}

/** Takes snapshots of the caches of this thread that have a name. */
export class Collector {
  #told = new Map<string, Told>()

  /**
   * A snapshot of each cache, in the order of opening. Several objects of one name are one cache; private caches are
   * left out, for nothing tells them apart that stays the same.
   */
  take(): CacheSnapshot[] {
    const byName = new Map<string, Inspectable[]>()
    for (const cache of openCaches()) {
      if (cache.name === undefined) continue
      const id = `${cache.kind}:${cache.name}`
      const others = byName.get(id)
      if (others === undefined) byName.set(id, [cache])
      else others.push(cache)
    }
    const before = this.#told
    this.#told = new Map()
    return [...byName].flatMap(([id, caches]) => {
      try {
        return [this.#snapshot(id, caches, before.get(id))]
      } catch (error) {
        // Another copy of the package may have the cache open that counts otherwise. The others are told all the same.
        debug('no metrics of %s: %s', id, error)
        return []
      }
    })
  }

  #snapshot(id: string, caches: Inspectable[], before: Told | undefined): CacheSnapshot {
    const [first, ...others] = caches as [Inspectable, ...Inspectable[]]
    for (const other of others) other.flush()
    const { kind, name, engine, settings } = first
    const stats = first.stats()
    const { hits, nearHits } = stats
    let engineHits = Math.max(0, hits - nearHits)
    // Threads count on while the two are read; a counter must not fall, but by a reset.
    if (before !== undefined && hits >= before.hits) engineHits = Math.max(engineHits, before.engineHits)
    this.#told.set(id, { hits, engineHits })
    return {
      kind,
      name: name as string,
      engine,
      settings,
      stats,
      engineHits,
      loads: first.loads(),
      decisions: first.decisions(),
      tier: first.tier?.(),
    }
  }
}
