import type { EngineKind } from '../common/settings.js'
import { type Engine, Outcome } from '../engine/engine.js'
import { openEngine } from '../engine/open.js'
import type { Stored } from '../engine/stored.js'

/** The most entries. */
const MOST = 10_000

/**
 * What is loaded while changes of other processes are not heard of: served for as long as any value may be served after
 * one, so that a server that is down does not take the source of the values with it. All threads share it, and changes
 * of this process apply to it as to the cache.
 */
export class SuspendedValues {
  readonly #engine: Engine
  readonly #maxStaleness: number

  /** @param name That of the cache in its engine. */
  constructor(name: string | undefined, kind: EngineKind, max: number, maxStaleness: number) {
    const shared = name === undefined ? undefined : `suspended:${name}`
    const options = { name: shared, label: 'what a tier keeps while suspended', max: Math.min(max, MOST) }
    this.#engine = openEngine(options, kind)
    this.#maxStaleness = maxStaleness
  }

  fence(): number {
    return this.#engine.fence()
  }

  find(key: string): Stored | undefined {
    return this.#engine.peek(key)
  }

  /** How long what was found has to live, in ms. */
  left(key: string): number {
    return this.#engine.remainingTtl(key)
  }

  /**
   * Keeps a value, unless something of it changed after `fence`.
   *
   * @param age The ms since its load began.
   */
  keep(
    key: string,
    stored: Stored,
    left: number,
    age: number,
    fence: number,
    tags: readonly string[],
  ): boolean {
    const life = Math.floor(Math.min(left, this.#maxStaleness - age))
    return life > 0 && this.#engine.set(key, stored, life, fence, tags) === Outcome.Stored
  }

  delete(key: string): void {
    this.#engine.delete(key)
  }

  invalidateTag(tag: string): void {
    this.#engine.invalidateTag(tag)
  }

  clear(): void {
    this.#engine.clear()
  }

  close(): void {
    this.#engine.close()
  }
}
