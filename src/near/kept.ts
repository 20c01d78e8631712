import { freezeDeep } from '../common/freeze.js'
import type { Stored } from '../engine/engine.js'
import type { FallbackEngine } from '../engine/fallback.js'
import type { Entry } from '../engine/store.js'
import { DEFAULT_NEAR_MAX, DEFAULT_NEAR_SIZE, type Decode, type Near, type NearOptions } from './near.js'

/**
 * Decoded values on the fallback engine, by entry, and as current as those; when there are too
 * many, the one goes that was decoded first.
 */
export class KeptValues<V> implements Near<V> {
  readonly #engine: FallbackEngine
  readonly #decode: Decode<V>
  readonly #max: number
  readonly #maxSize: number
  /** Decoded values by entry, in the order in which they were decoded; some entries may have left the cache. */
  readonly #values = new Map<Entry, V>()
  #bytes = 0

  constructor(engine: FallbackEngine, decode: Decode<V>, { max, maxSize }: NearOptions) {
    this.#engine = engine
    this.#decode = decode
    this.#max = max ?? DEFAULT_NEAR_MAX
    this.#maxSize = maxSize ?? DEFAULT_NEAR_SIZE
  }

  get(key: string): V | undefined {
    const entry = this.#engine.use(key)
    if (entry !== undefined && this.#values.has(entry)) this.#engine.countNearHit()
    return this.#valueOf(entry)
  }

  peek(key: string): V | undefined {
    return this.#valueOf(this.#engine.find(key))
  }

  #valueOf(entry: Entry | undefined): V | undefined {
    if (entry === undefined) return undefined
    const kept = this.#values.get(entry)
    if (kept !== undefined || this.#values.has(entry)) return kept
    const { value: stored } = entry
    // What can be changed is a copy of the caller's own.
    const value = this.#decode(stored instanceof Uint8Array ? new Uint8Array(stored) : (stored as Stored))
    if (value instanceof Uint8Array || !freezeDeep(value) || entry.size > this.#maxSize) return value
    // As on the native engine, where a read that a copy answers would renew no TTL.
    if (this.#engine.settings.updateAgeOnGet) return value
    this.#values.set(entry, value)
    this.#bytes += entry.size
    for (const first of this.#values.keys()) {
      if (this.#values.size <= this.#max && this.#bytes <= this.#maxSize) break
      this.#forget(first)
    }
    return value
  }

  #forget(entry: Entry): void {
    this.#values.delete(entry)
    this.#bytes -= entry.size
  }

  beforeWrite(): void {}

  flush(): void {}

  clear(): void {
    for (const entry of this.#values.keys()) this.#forget(entry)
  }
}
