import { CacheError } from '../common/errors.js'

/** How long one call may take, whatever number of loads it comes to. */
export class TimeBudget {
  readonly #start = performance.now()
  readonly #hardTimeout: number
  #loads = 0

  constructor(hardTimeout: number) {
    this.#hardTimeout = hardTimeout
  }

  /**
   * To be called before a load that was overtaken is begun again: the ms to wait before, so that from the third time on
   * others have their turn first.
   *
   * @throws When that has gone on for longer than one load may take.
   */
  retry(subject: string): number {
    if (performance.now() - this.#start >= this.#hardTimeout) {
      const message = `each load of ${subject} was overtaken by an invalidation, for ${this.#hardTimeout} ms`
      throw new CacheError('ERR_CACHE_OVERTAKEN', message)
    }
    this.#loads++
    return this.#loads > 2 ? 1 : 0
  }
}

/** The error of a wait that came to its end; `option` is the one that set it. */
export function timedOut(subject: string, option: 'timeout' | 'hardTimeout', ms: number): CacheError {
  const message = `the load of ${subject} did not settle within its ${option} of ${ms} ms`
  return new CacheError('ERR_CACHE_LOAD_TIMEOUT', message)
}
