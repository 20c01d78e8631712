interface Timer {
  readonly at: number
  readonly id: number
  readonly every: number | undefined
  readonly body: () => void
}

const real = { setImmediate, setTimeout, setInterval, clearTimeout, clearInterval, random: Math.random }
const now = performance.now

/** The time of a simulation, in the place of that of the process: timers fire when it is told to go on. */
export class FakeTime {
  now = 1_000
  readonly #timers = new Map<number, Timer>()
  #ids = 0

  constructor(random: () => number) {
    const start = (body: () => void, ms: number, every?: number) => {
      const id = ++this.#ids
      this.#timers.set(id, { at: this.now + Math.max(ms, 0), id, every, body })
      const handle = {
        id,
        unref: () => handle,
        ref: () => handle,
        hasRef: () => false,
        [Symbol.toPrimitive]: () => id,
      }
      return handle
    }
    const stop = (timer: unknown) => {
      if (typeof timer === 'object' && timer !== null) this.#timers.delete((timer as { id: number }).id)
    }
    Object.assign(globalThis, {
      setTimeout: (body: () => void, ms = 0) => start(body, ms),
      setInterval: (body: () => void, ms = 0) => start(body, ms, ms),
      setImmediate: (body: () => void) => start(body, 0),
      clearTimeout: stop,
      clearInterval: stop,
    })
    performance.now = () => this.now
    Math.random = random
  }

  /** Lets all that waits for promises go on. */
  settle(): Promise<void> {
    return new Promise((resolve) => real.setImmediate(() => resolve()))
  }

  /** Fires a timer that is due, if there is one. */
  fire(pick: (n: number) => number): boolean {
    const due = [...this.#timers.values()].filter((timer) => timer.at <= this.now)
    if (due.length === 0) return false
    const timer = due[pick(due.length)] as Timer
    this.#timers.delete(timer.id)
    if (timer.every !== undefined) {
      this.#timers.set(timer.id, { ...timer, at: this.now + Math.max(1, timer.every) })
    }
    timer.body()
    return true
  }

  end(): void {
    const { random, ...timers } = real
    Object.assign(globalThis, timers)
    performance.now = now
    Math.random = random
  }
}
