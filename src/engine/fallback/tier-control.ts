import type { Moment, TierControl } from '../capabilities.js'

/** The name that stands for the removal of everything. */
const EVERYTHING = 'c'

/** The most changes that are pending one by one, as on the native engine. */
const MOST_PENDING = 1_024

/** The most acknowledged changes that are kept one by one, as on the native engine. */
const MOST_ACKNOWLEDGED = 4_096

/** A change that was acknowledged. */
interface Acknowledged {
  readonly epoch: number
  /** The ms of the clock from which on it is not delivered again. */
  readonly until: number
  readonly name: string
}

/** What the engines of a tiered cache share of its second tier. */
export class TierState {
  readonly now: () => number
  /** The ms of the clock from which on no read is answered. */
  until = 0
  seen: Moment = [0, 0]
  position: Moment = [0, 0]
  /** Who follows the changes; not the engine itself, which may be collected without having been closed. */
  follower: object | undefined
  /** By number, the oldest first. */
  pending = new Map<number, string>()
  acknowledged: Acknowledged[] = []
  lastNumber = 0

  constructor(now: () => number) {
    this.now = now
  }

  /** Whether reads are answered. */
  get isHeld(): boolean {
    return this.now() < this.until
  }

  /** Has somebody else follow the changes, if `owner` does. */
  release(owner: object): void {
    if (this.follower === owner) this.follower = undefined
  }

  pend(names: readonly string[]): void {
    for (const name of names) this.pending.set(++this.lastNumber, name)
    if (this.pending.size > MOST_PENDING) this.pending = new Map([[++this.lastNumber, EVERYTHING]])
  }

  /** Leaves one removal of everything for each epoch, of what is still to be kept. */
  shorten(): void {
    const untils = new Map<number, number>()
    for (const { epoch, until } of this.acknowledged) {
      untils.set(epoch, Math.max(until, untils.get(epoch) ?? 0))
    }
    this.acknowledged = [...untils].map(([epoch, until]) => ({ epoch, until, name: EVERYTHING }))
  }

  /** Forgets what was acknowledged too long ago. */
  forget(): void {
    const now = this.now()
    this.acknowledged = this.acknowledged.filter(({ until }) => now < until)
  }
}

/** The control of one engine over what all engines of its cache share. */
export class FallbackTierControl implements TierControl {
  readonly #open: () => TierState
  readonly #owner: object

  /** @param open What is shared; throws once the engine is closed. */
  constructor(open: () => TierState, owner: object) {
    this.#open = open
    this.#owner = owner
  }

  time(): number {
    return this.#open().now()
  }

  extend(epoch: number, until: number): boolean {
    const state = this.#open()
    if (epoch === 0 || epoch !== state.seen[0]) return false
    if (until > state.until) state.until = until
    return true
  }

  suspend(): void {
    this.#open().until = 0
  }

  heldUntil(): number {
    return this.#open().until
  }

  seen(): Moment {
    return this.#open().seen
  }

  saw(epoch: number, sequence: number): boolean {
    const state = this.#open()
    const [lastEpoch, lastSequence] = state.seen
    if (epoch < lastEpoch) return false
    if (epoch > lastEpoch) state.until = 0
    state.seen = [epoch, epoch > lastEpoch ? sequence : Math.max(sequence, lastSequence)]
    return true
  }

  glance(into: Float64Array): void {
    const state = this.#open()
    into[0] = state.until
    into[1] = state.seen[0]
    into[2] = state.seen[1]
    into[3] = state.pending.size
    into[4] = state.now()
  }

  follow(): boolean {
    const state = this.#open()
    state.follower ??= this.#owner
    return state.follower === this.#owner
  }

  position(): Moment {
    return this.#open().position
  }

  advance(epoch: number, sequence: number): void {
    this.#open().position = [epoch, sequence]
  }

  pend(names: readonly string[]): void {
    this.#open().pend(names)
  }

  pending(): [ids: number[], names: string[]] {
    const { pending } = this.#open()
    return [[...pending.keys()], [...pending.values()]]
  }

  pendingCount(): number {
    return this.#open().pending.size
  }

  delivered(ids: readonly number[]): void {
    const { pending } = this.#open()
    for (const id of ids) pending.delete(id)
  }

  acknowledged(epoch: number, names: readonly string[], ms: number): void {
    const state = this.#open()
    const until = state.now() + ms
    for (const name of names) state.acknowledged.push({ epoch, until, name })
    if (state.acknowledged.length <= MOST_ACKNOWLEDGED) return
    state.forget()
    if (state.acknowledged.length > MOST_ACKNOWLEDGED) state.shorten()
  }

  redeliver(epoch: number): void {
    const state = this.#open()
    state.forget()
    state.pend(state.acknowledged.filter((one) => one.epoch !== epoch).map(({ name }) => name))
    state.acknowledged = state.acknowledged.filter((one) => one.epoch === epoch)
  }
}
