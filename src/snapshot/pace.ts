/** Ms of work after which others have their turn. */
const SLICE = 1

/** Keeps long work from holding the event loop: it is done in slices of about a ms. */
export class Pace {
  #start = performance.now()

  /** Whether the slice has lasted long enough. */
  get isOver(): boolean {
    return performance.now() - this.#start >= SLICE
  }

  /** Lets everything else that is due run, and begins the next slice. */
  async next(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve))
    this.#start = performance.now()
  }
}
