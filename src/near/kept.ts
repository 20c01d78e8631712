import type { FallbackEngine } from '../engine/fallback.js'
import { freezeDeep } from './freeze.js'
import type { Decode, Near } from './near.js'

/** Decoded values on the fallback engine: they lie beside what is stored, and go with it. */
export class KeptValues<V> implements Near<V> {
  readonly #engine: FallbackEngine
  readonly #decode: (stored: Parameters<Decode<V>>[0]) => { value: V; keep: boolean }

  constructor(engine: FallbackEngine, decode: Decode<V>) {
    this.#engine = engine
    this.#decode = (stored) => {
      const value = decode(stored)
      return { value, keep: !(value instanceof Uint8Array) && freezeDeep(value) }
    }
  }

  get(key: string): V | undefined {
    return this.#engine.getKept(key, this.#decode)
  }

  peek(key: string): V | undefined {
    return this.#engine.peekKept(key, this.#decode)
  }

  beforeWrite(): void {}

  flush(): void {}

  clear(): void {}
}
