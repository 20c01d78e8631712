import { outOfRange } from '../../common/errors.js'
import { type EngineStats, noStats } from '../engine.js'
import { MAX_NAMESPACES } from '../limits.js'

/** A key as the fallback engine stores it, by which keys of different namespaces are different. */
export type StoredKey = string & { readonly storedKey: unique symbol }

/** What begins every stored key of a namespace; a key of the root that begins with it is prefixed as well. */
const RESERVED = '\0'

/** A part of a store that is counted, cleared and measured by itself; the root is one, of number 0. */
export class Namespace {
  readonly number: number
  readonly #prefix: string
  /** The sequence number of the last clearing of this namespace alone. */
  cleared = 0
  entries = 0
  bytes = 0
  stats = noStats()

  constructor(number: number) {
    this.number = number
    // No number holds the colon, so that no two prefixes can be followed by keys to the same text.
    this.#prefix = `${RESERVED}${number}:`
  }

  /** The words of four bytes that the native engine needs for the namespace of an entry. */
  get words(): number {
    return this.number === 0 ? 0 : 1
  }

  /** `key` of this namespace as it is stored. */
  at(key: string): StoredKey {
    if (this.number === 0 && key.charCodeAt(0) !== 0) return key as StoredKey
    return (this.#prefix + key) as StoredKey
  }

  /** Whether an entry written at `written` is one of this namespace still. */
  holds(written: number): boolean {
    return written > this.cleared
  }

  /** Whether a stored key is one of this namespace, which is not the root. */
  has(key: string): boolean {
    return key.startsWith(this.#prefix)
  }

  /** Counts everything out, at this sequence number; says how many entries that were. */
  clear(sequence: number): number {
    const count = this.entries
    this.cleared = sequence
    this.count('cleared', count)
    this.entries = 0
    this.bytes = 0
    return count
  }

  count(event: keyof EngineStats, times = 1): void {
    this.stats[event] += times
  }
}

/** The namespaces of a store by name. */
export class Namespaces {
  readonly root = new Namespace(0)
  readonly #named = new Map<string, Namespace>()

  /** @throws `ERR_OUT_OF_RANGE` where there are too many. */
  of(name: string): Namespace {
    let namespace = this.#named.get(name)
    if (namespace === undefined) {
      if (this.#named.size >= MAX_NAMESPACES) {
        throw outOfRange(`a cache has at most ${MAX_NAMESPACES} namespaces`)
      }
      namespace = new Namespace(this.#named.size + 1)
      this.#named.set(name, namespace)
    }
    return namespace
  }

  /** Counts everything out, at this sequence number. */
  clear(sequence: number): void {
    for (const namespace of this.#named.values()) namespace.clear(sequence)
  }
}
