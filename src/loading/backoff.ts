/** Failures that are remembered; the oldest is forgotten first. */
const MOST = 4_096

interface Failure {
  readonly error: unknown
  readonly at: number
}

/** The loads of a thread that failed lately, by key: so that a source that is down is not asked at every call. */
export class Backoff {
  readonly #failures = new Map<string, Failure>()

  /** The failure of `key`, if it is less than `ms` ago. */
  find(key: string, ms: number, now: number): Failure | undefined {
    if (ms === 0 || this.#failures.size === 0) return undefined
    const failure = this.#failures.get(key)
    return failure !== undefined && now - failure.at < ms ? failure : undefined
  }

  remember(key: string, error: unknown, now: number): void {
    this.#failures.delete(key)
    this.#failures.set(key, { error, at: now })
    if (this.#failures.size <= MOST) return
    for (const first of this.#failures.keys()) {
      this.#failures.delete(first)
      break
    }
  }

  forget(key: string): void {
    if (this.#failures.size > 0) this.#failures.delete(key)
  }
}
