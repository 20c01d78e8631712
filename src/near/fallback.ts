import { freezeDeep, freezeParsed } from '../common/freeze.js'
import type { EntrySource, SourceEntry } from '../engine/capabilities.js'
import {
  DEFAULT_NEAR_MAX,
  DEFAULT_NEAR_SIZE,
  type Decode,
  type NearCache,
  type NearOptions,
} from './near-cache.js'

/**
 * Decoded values on the fallback engine, by entry, and as current as those; when there are too
 * many, the one goes that was decoded first.
 */
export class FallbackNearCache<V> implements NearCache<V> {
  readonly #source: EntrySource
  readonly #decode: Decode<V>
  readonly #max: number
  readonly #maxSize: number
  /** Entries whose decoded values are kept, in the order in which they were decoded; some may have left the cache. */
  readonly #entries = new Set<SourceEntry>()
  #bytes = 0

  constructor(source: EntrySource, decode: Decode<V>, { max, maxSize }: NearOptions) {
    this.#source = source
    this.#decode = decode
    this.#max = max ?? DEFAULT_NEAR_MAX
    this.#maxSize = maxSize ?? DEFAULT_NEAR_SIZE
  }

  get(key: string): V | undefined {
    const entry = this.#source.use(key)
    if (entry === undefined) return undefined
    if (entry.copy?.owner !== this) return this.#decoded(entry)
    this.#source.countNearHit()
    return entry.copy.value as V
  }

  peek(key: string): V | undefined {
    const entry = this.#source.find(key)
    if (entry === undefined) return undefined
    return entry.copy?.owner === this ? (entry.copy.value as V) : this.#decoded(entry)
  }

  #decoded(entry: SourceEntry): V {
    const { value: stored } = entry
    // What can be changed is a copy of the caller's own.
    const value = this.#decode(stored instanceof Uint8Array ? new Uint8Array(stored) : stored)
    const isFrozen =
      typeof stored === 'string' ? freezeParsed(value) : !(value instanceof Uint8Array) && freezeDeep(value)
    if (!isFrozen || entry.size > this.#maxSize) return value
    // As on the native engine, where a read that a copy answers would renew no TTL.
    if (this.#source.settings.updateAgeOnGet) return value
    entry.copy = { owner: this, value }
    this.#entries.add(entry)
    this.#bytes += entry.size
    for (const first of this.#entries) {
      if (this.#entries.size <= this.#max && this.#bytes <= this.#maxSize) break
      this.#drop(first)
    }
    return value
  }

  #drop(entry: SourceEntry): void {
    this.#entries.delete(entry)
    if (entry.copy?.owner === this) entry.copy = undefined
    this.#bytes -= entry.size
  }

  beforeWrite(): void {}

  wrote(): void {}

  loaded(): void {}

  flush(): void {}

  clear(): void {
    for (const entry of this.#entries) this.#drop(entry)
  }
}
