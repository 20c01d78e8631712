interface Lease {
  readonly number: number
  readonly owner: object
  readonly fence: number
  readonly tags: readonly string[] | undefined
  /** The ms of the clock at which it ends by itself. */
  readonly ends: number
  /** Whether somebody was told to wait. */
  awaited: boolean
}

/** A claim to a load. */
interface Claim {
  readonly key: string
  /** Whoever loads; all its leases can be ended together. */
  readonly owner: object
  readonly now: number
  readonly ends: number
  readonly tags: readonly string[] | undefined
  readonly fence: number
}

/** As many leases are few; of more, those that nobody will settle are looked for. */
const FEW = 1_024

/** The loads of the fallback engine that are under way: at most one a key that nothing has overtaken. */
export class Leases {
  readonly #leases = new Map<string, Lease>()
  #last = 0
  #few = FEW

  /**
   * The number of a new lease with this fence, or `undefined` while another one holds of which `isCurrent`,
   * given its fence and tags, is true.
   */
  claim(
    { key, owner, now, ends, tags, fence }: Claim,
    isCurrent: (fence: number, tags: readonly string[] | undefined) => boolean,
  ): number | undefined {
    const held = this.#leases.get(key)
    if (held !== undefined && now < held.ends && isCurrent(held.fence, held.tags)) {
      held.awaited = true
      return undefined
    }
    if (this.#leases.size > this.#few) {
      for (const [other, lease] of this.#leases) if (lease.ends <= now) this.#leases.delete(other)
      this.#few = Math.max(FEW, 2 * this.#leases.size)
    }
    const number = ++this.#last
    this.#leases.set(key, { number, owner, fence, tags, ends, awaited: false })
    return number
  }

  /** Ends a lease, and says whether somebody waits. One that has been taken over stays. */
  settle(key: string, number: number): boolean {
    const lease = this.#leases.get(key)
    if (lease?.number !== number) return false
    this.#leases.delete(key)
    return lease.awaited
  }

  /** Ends all leases of an owner. */
  release(owner: object): void {
    for (const [key, lease] of this.#leases) if (lease.owner === owner) this.#leases.delete(key)
  }

  /** How many have not ended by `now`, of keys for which `isOne` is true. */
  underWay(now: number, isOne: (key: string) => boolean): number {
    let count = 0
    for (const [key, lease] of this.#leases) if (now < lease.ends && isOne(key)) count++
    return count
  }
}
