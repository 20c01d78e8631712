/** Ms between two looks. */
const TICK = 10

interface Deadline {
  readonly at: number
  readonly onTime: () => void
}

/**
 * The deadlines of a thread, on one timer. When one comes the event loop is let read its sockets once before: an answer
 * that is there already, behind other work of the thread, is not late.
 */
class Deadlines {
  readonly #byTick = new Map<number, Set<Deadline>>()
  #timer: NodeJS.Timeout | undefined
  #next = 0

  /** Calls `onTime` in `ms` ms or a little later, unless what is returned is called before. */
  start(ms: number, onTime: () => void): () => void {
    const now = performance.now()
    const tick = Math.ceil((now + ms) / TICK)
    const deadline: Deadline = { at: tick, onTime }
    const same = this.#byTick.get(tick) ?? new Set()
    same.add(deadline)
    this.#byTick.set(tick, same)
    if (this.#timer === undefined) {
      this.#next = Math.floor(now / TICK)
      this.#timer = setInterval(() => this.#look(), TICK)
      this.#timer.unref?.()
    }
    return () => {
      same.delete(deadline)
    }
  }

  #look(): void {
    const now = Math.floor(performance.now() / TICK)
    for (; this.#next <= now; this.#next++) {
      const due = this.#byTick.get(this.#next)
      this.#byTick.delete(this.#next)
      if (due === undefined || due.size === 0) continue
      setImmediate(() => {
        for (const { onTime } of due) onTime()
      })
    }
    if (this.#byTick.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}

/** Those of this thread. */
export const deadlines = new Deadlines()
