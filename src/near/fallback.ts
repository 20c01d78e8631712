import { freezeDeep } from '../common/freeze.js'
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
  /** Decoded values by entry, in the order in which they were decoded; some entries may have left the cache. */
  readonly #values = new Map<SourceEntry, V>()
  #bytes = 0

  constructor(source: EntrySource, decode: Decode<V>, { max, maxSize }: NearOptions) {
    this.#source = source
    this.#decode = decode
    this.#max = max ?? DEFAULT_NEAR_MAX
    this.#maxSize = maxSize ?? DEFAULT_NEAR_SIZE
  }

  get(key: string): V | undefined {
    const entry = this.#source.use(key)
    if (entry !== undefined && this.#values.has(entry)) this.#source.countNearHit()
    return this.#valueOf(entry)
  }

  peek(key: string): V | undefined {
    return this.#valueOf(this.#source.find(key))
  }

  #valueOf(entry: SourceEntry | undefined): V | undefined {
    if (entry === undefined) return undefined
    const known = this.#values.get(entry)
    if (known !== undefined || this.#values.has(entry)) return known
    const { value: stored } = entry
    // What can be changed is a copy of the caller's own.
    const value = this.#decode(stored instanceof Uint8Array ? new Uint8Array(stored) : stored)
    if (value instanceof Uint8Array || !freezeDeep(value) || entry.size > this.#maxSize) return value
    // As on the native engine, where a read that a copy answers would renew no TTL.
    if (this.#source.settings.updateAgeOnGet) return value
    this.#values.set(entry, value)
    this.#bytes += entry.size
    for (const first of this.#values.keys()) {
      if (this.#values.size <= this.#max && this.#bytes <= this.#maxSize) break
      this.#drop(first)
    }
    return value
  }

  #drop(entry: SourceEntry): void {
    this.#values.delete(entry)
    this.#bytes -= entry.size
  }

  beforeWrite(): void {}

  wrote(): void {}

  loaded(): void {}

  flush(): void {}

  clear(): void {
    for (const entry of this.#values.keys()) this.#drop(entry)
  }
}
