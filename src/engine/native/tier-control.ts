import type { Moment, TierControl } from '../capabilities.js'
import type { Binding } from './binding.js'

/** What all threads that have a tiered cache open know of its second tier, as the native engine holds it. */
export class NativeTierControl implements TierControl {
  readonly #binding: () => Binding
  readonly #cache: number

  /** @param binding The calls of the engine; those of one that is closed throw. */
  constructor(binding: () => Binding, cache: number) {
    this.#binding = binding
    this.#cache = cache
  }

  time(): number {
    return this.#binding().time(this.#cache)
  }

  extend(epoch: number, until: number): boolean {
    return this.#binding().extend(this.#cache, epoch, until)
  }

  suspend(): void {
    this.#binding().suspend(this.#cache)
  }

  heldUntil(): number {
    return this.#binding().heldUntil(this.#cache)
  }

  seen(): Moment {
    return this.#binding().seen(this.#cache)
  }

  saw(epoch: number, sequence: number): boolean {
    return this.#binding().saw(this.#cache, epoch, sequence)
  }

  glance(into: Float64Array): void {
    this.#binding().glance(this.#cache, into)
  }

  follow(): boolean {
    return this.#binding().follow(this.#cache)
  }

  position(): Moment {
    return this.#binding().position(this.#cache)
  }

  advance(epoch: number, sequence: number): void {
    this.#binding().advance(this.#cache, epoch, sequence)
  }

  pend(names: readonly string[]): void {
    this.#binding().pend(this.#cache, names)
  }

  pending(): [ids: number[], names: string[]] {
    const pending = this.#binding().pending(this.#cache)
    const ids: number[] = []
    const names: string[] = []
    for (let at = 0; at < pending.length; at += 2) {
      ids.push(pending[at] as number)
      names.push(pending[at + 1] as string)
    }
    return [ids, names]
  }

  pendingCount(): number {
    return this.#binding().pendingCount(this.#cache)
  }

  delivered(ids: readonly number[]): void {
    this.#binding().delivered(this.#cache, Float64Array.from(ids))
  }

  acknowledged(epoch: number, names: readonly string[], ms: number): void {
    this.#binding().acknowledged(this.#cache, epoch, names, ms)
  }

  redeliver(epoch: number): void {
    this.#binding().redeliver(this.#cache, epoch)
  }
}
