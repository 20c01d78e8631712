interface Fresh {
  /** Loads of the key under way that look at nothing that is cached. */
  underWay: number
  /** The fence of the load among them that was stored last, and its result. */
  fence: number
  stored: Stored | undefined
}

/**
 * The loads of a thread that look at nothing that is cached. Each of them that is stored overtakes the others; one that
 * began no earlier is as good as their own.
 */
import type { Stored } from '../engine/stored.js'
export class FreshLoads {
  readonly #byKey = new Map<string, Fresh>()

  begin(key: string): void {
    const fresh = this.#byKey.get(key) ?? { underWay: 0, fence: -1, stored: undefined }
    fresh.underWay++
    this.#byKey.set(key, fresh)
  }

  end(key: string): void {
    const fresh = this.#byKey.get(key)
    if (fresh === undefined) return
    fresh.underWay--
    if (fresh.underWay === 0) this.#byKey.delete(key)
  }

  /** Notes the result of a load with this fence. */
  stored(key: string, fence: number, stored: Stored): void {
    const fresh = this.#byKey.get(key)
    if (fresh === undefined) return
    fresh.fence = fence
    fresh.stored = stored
  }

  /** The result that was stored last, if its load began at `fence` or later and it is what is cached. */
  since(key: string, fence: number, cached: Stored | undefined): Stored | undefined {
    const fresh = this.#byKey.get(key)
    const isGood =
      fresh !== undefined && fresh.fence >= fence && cached !== undefined && fresh.stored === cached
    return isGood ? cached : undefined
  }
}
