import type { Stored } from '../engine/stored.js'

/** Values that are held, at most, and characters of the text of each. */
const MOST = 64
const LONGEST = 16_384

interface Loaded<V> {
  readonly stored: Stored
  readonly value: V
}

/** What loads have decoded for their callers, for the copies that the next reads of their keys make. */
export class LoadedValues<V> {
  readonly #values = new Map<string, Loaded<V>>()

  add(key: string, stored: Stored, value: V): void {
    if (stored.length > LONGEST) return
    if (this.#values.size >= MOST) this.#values.clear()
    this.#values.set(key, { stored, value })
  }

  has(key: string): boolean {
    return this.#values.size > 0 && this.#values.has(key)
  }

  /** What was made of the very text that is stored under a key, once. */
  take(key: string, stored: Stored): V | undefined {
    const loaded = this.#values.get(key)
    if (loaded === undefined) return undefined
    this.#values.delete(key)
    return loaded.stored === stored ? loaded.value : undefined
  }

  clear(): void {
    this.#values.clear()
  }
}
