import { startTimer } from '../common/timers.js'

/** Ms between two looks. */
const TICK = 10

/** Ms from which on a deadline has a timer of its own, so that who waits for long costs nothing meanwhile. */
const LONG = 1_000

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
  /** Those that have neither come nor ended. */
  #live = 0

  /** Calls `onTime` in `ms` ms or a little later, unless what is returned is called before. */
  start(ms: number, onTime: () => void): () => void {
    if (ms >= LONG) {
      const timer = startTimer(ms, () => setImmediate(onTime))
      return () => clearTimeout(timer)
    }
    const now = performance.now()
    const tick = Math.ceil((now + ms) / TICK)
    const deadline: Deadline = { at: tick, onTime }
    const same = this.#byTick.get(tick) ?? new Set()
    same.add(deadline)
    this.#live++
    this.#byTick.set(tick, same)
    if (this.#timer === undefined) {
      this.#next = Math.floor(now / TICK)
      this.#timer = setInterval(() => this.#look(), TICK)
      this.#timer.unref?.()
    }
    return () => {
      if (same.delete(deadline)) this.#live--
    }
  }

  #look(): void {
    const now = Math.floor(performance.now() / TICK)
    for (; this.#next <= now; this.#next++) {
      const due = this.#byTick.get(this.#next)
      this.#byTick.delete(this.#next)
      if (due === undefined || due.size === 0) continue
      setImmediate(() => {
        for (const deadline of due) {
          // One before it may have ended it.
          if (!due.delete(deadline)) continue
          this.#live--
          deadline.onTime()
        }
      })
    }
    if (this.#live > 0) return
    this.#byTick.clear()
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}

/** Those of this thread. */
export const deadlines = new Deadlines()
