type Channel = InstanceType<typeof BroadcastChannel> & { unref?: () => void }

/** Ms after which a waiter looks by itself: first, and at the most. Each time it waits twice as long. */
const FIRST_LOOK = 2
const LAST_LOOK = 64

/**
 * Tells the threads that have a cache open when a load has ended.
 *
 * A message may come late or, where the thread of the load was terminated, not at all; whoever waits
 * therefore also looks from time to time.
 */
export class Wakeups {
  readonly #name: string
  readonly #waiting = new Map<string, Set<() => void>>()
  #channel: Channel | undefined

  /** `name` is that of the cache. */
  constructor(name: string) {
    this.#name = `sark-cache:loaded:${name}`
  }

  #open(): Channel {
    if (this.#channel === undefined) {
      const channel: Channel = new BroadcastChannel(this.#name)
      channel.onmessage = (event: unknown) => {
        const { data: key } = event as { data: string }
        for (const wake of this.#waiting.get(key) ?? []) wake()
      }
      // What keeps the process alive is the timer of a waiter, while there is one. Not all runtimes have this.
      channel.unref?.()
      this.#channel = channel
    }
    return this.#channel
  }

  /** Tells all threads that a load of `key` has ended. */
  notify(key: string): void {
    this.#open().postMessage(key)
  }

  /** Resolves when a load of `key` may have ended. `look` counts the calls for one load, from 0. */
  async wait(key: string, look: number, signal: AbortSignal): Promise<void> {
    this.#open()
    const waiting = this.#waiting.get(key) ?? new Set()
    this.#waiting.set(key, waiting)
    await new Promise<void>((resolve) => {
      const wake = () => {
        clearTimeout(timer)
        signal.removeEventListener('abort', wake)
        waiting.delete(wake)
        if (waiting.size === 0 && this.#waiting.get(key) === waiting) this.#waiting.delete(key)
        resolve()
      }
      const timer = setTimeout(wake, Math.min(LAST_LOOK, FIRST_LOOK * 2 ** look))
      signal.addEventListener('abort', wake, { once: true })
      waiting.add(wake)
    })
  }

  close(): void {
    this.#channel?.close()
    this.#channel = undefined
  }
}
