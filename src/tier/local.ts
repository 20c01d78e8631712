import type { TierHost } from '../cache/tier.js'
import type { Engine } from '../engine/engine.js'
import { Outcome } from '../engine/engine.js'
import type { Stored } from '../engine/stored.js'
import type { SuspendedValues } from './suspended.js'

/** The change that removes everything, as the record names it. */
export const CLEAR = 'c'

/** The name of a change of a key or a tag, by their names on the wire. */
export const keyChange = (key: string): string => `=${key}`
export const tagChange = (tag: string): string => `#${tag}`

/** What this process holds: the cache, and what it keeps while suspended. Keys and tags are by their names on the wire. */
export class LocalValues {
  readonly #host: TierHost
  readonly #engine: Engine
  readonly #suspended: SuspendedValues
  readonly #localTtl: number

  /** @param engine That of the cache, by which tags are known by their names on the wire. */
  constructor(host: TierHost, engine: Engine, suspended: SuspendedValues, localTtl: number) {
    this.#host = host
    this.#engine = engine
    this.#suspended = suspended
    this.#localTtl = localTtl
  }

  get engine(): Engine {
    return this.#engine
  }

  get suspended(): SuspendedValues {
    return this.#suspended
  }

  /** Applies a change, by its name in the record. */
  apply(change: string): void {
    const name = change.slice(1)
    if (change === CLEAR) this.clear()
    else if (change.startsWith('=')) this.delete(name)
    else {
      this.#engine.invalidateTag(name)
      this.#suspended.invalidateTag(name)
    }
  }

  delete(key: string): void {
    if (this.#engine.delete(key)) this.#host.wrote(key)
    this.#suspended.delete(key)
  }

  clear(): void {
    this.#host.clear()
    this.#suspended.clear()
  }

  /** Whether a value of the tier is one: whoever may write to the namespace may have put anything there. */
  isReadable(stored: Stored): boolean {
    try {
      this.#host.decode(stored)
      return true
    } catch {
      return false
    }
  }

  /** As `Engine.set`, of a value of the tier. */
  store(
    key: string,
    stored: Stored,
    ttl: number,
    fence: number,
    tags: readonly string[],
    grace: number,
  ): number {
    const life = Math.min(Math.floor(ttl), this.#localTtl)
    if (life <= 0) return Outcome.Expired
    this.#host.onWrite()
    const outcome = this.#engine.set(key, stored, life, fence, tags, grace)
    if (outcome === Outcome.Stored) this.#host.wrote(key)
    return outcome
  }
}
