/** Ms after which a waiter looks by itself: first, and at the most. Each time it waits twice as long. */
const FIRST_LOOK = 2
const LAST_LOOK = 64

type Channel = InstanceType<typeof BroadcastChannel> & { unref?: () => void }

/**
 * Tells the threads that have a cache open when a load has ended.
 *
 * A message may come late or, where the thread of the load was terminated, not at all; whoever waits
 * therefore also looks from time to time.
 */
export class LoadEvents {
  /** `undefined` for a cache that no other thread can have open. */
  readonly #name: string | undefined
  readonly #waiting = new Map<string, Set<() => void>>()
  #channel: Channel | undefined

  /** `name` is that of the cache, if it has one. */
  constructor(name: string | undefined) {
    this.#name = name
  }

  #open(): Channel | undefined {
    if (this.#channel === undefined && this.#name !== undefined) {
      const channel: Channel = new BroadcastChannel(`sark-cache:loaded:${this.#name}`)
      channel.onmessage = (event: unknown) => this.#wake((event as { data: string }).data)
      // Whoever waits keeps the process alive by himself. Not all runtimes have this.
      channel.unref?.()
      this.#channel = channel
    }
    return this.#channel
  }

  #wake(key: string): void {
    for (const wake of this.#waiting.get(key) ?? []) wake()
  }

  /** Tells all threads that a load of `key` has ended. */
  notify(key: string): void {
    this.#wake(key)
    this.#open()?.postMessage(key)
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
      const timer = setTimeout(wake, Math.min(LAST_LOOK, FIRST_LOOK * 2 ** look)).unref()
      signal.addEventListener('abort', wake, { once: true })
      waiting.add(wake)
    })
  }

  close(): void {
    this.#channel?.close()
    this.#channel = undefined
  }
}
