/** What is done for owners that are collected without having been closed. */
const abandoned = new FinalizationRegistry<() => void>((end) => end())

interface Closeable {
  close(): void
}

/** The time in which an object is open: it ends once, by its `close` or when the object is collected. */
export class Lifetime {
  readonly #owner: WeakRef<Closeable>
  readonly #release: () => void
  readonly #parent: Lifetime | undefined
  /** Those that were begun within this one and are open. */
  readonly #parts = new Set<Lifetime>()
  #isOver = false

  /**
   * @param release Lets go of what the owner holds; must not refer to the owner.
   * @param parent The one that this is a part of, and ends with.
   */
  constructor(owner: Closeable, release: () => void, parent?: Lifetime) {
    this.#owner = new WeakRef(owner)
    this.#release = release
    this.#parent = parent
    if (parent !== undefined) parent.#parts.add(this)
    abandoned.register(owner, () => this.#finish(), this)
  }

  /** Whether this call ends it; the parts are closed before. */
  end(): boolean {
    if (this.#isOver) return false
    abandoned.unregister(this)
    for (const part of this.#parts) part.#owner.deref()?.close()
    this.#finish()
    return true
  }

  #finish(): void {
    this.#isOver = true
    if (this.#parent !== undefined) this.#parent.#parts.delete(this)
    this.#release()
  }
}
