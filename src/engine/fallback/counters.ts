import { CacheError, outOfRange } from '../../common/errors.js'

/** The most counters of a group, as in the native engine. */
const MAX_SIZE = 65_536

/** The shared counters of the fallback engine, by the names of their groups. */
export class CounterGroups {
  readonly #groups = new Map<string, Float64Array>()

  /** Makes a group of zeros, if it is not there. */
  ensure(group: string, size: number): void {
    if (!Number.isInteger(size) || size < 1 || size > MAX_SIZE) {
      throw outOfRange(`a group has from 1 to ${MAX_SIZE} counters, not ${size}`)
    }
    const found = this.#groups.get(group)
    if (found === undefined) {
      this.#groups.set(group, new Float64Array(size))
    } else if (found.length !== size) {
      throw new CacheError('ERR_CACHE_OPTIONS_CONFLICT', 'this group of counters is in use with another size')
    }
  }

  #of(group: string): Float64Array {
    return this.#groups.get(group) as Float64Array
  }

  add(group: string, deltas: Float64Array): void {
    const counters = this.#of(group)
    if (deltas.length !== counters.length) throw outOfRange('there must be as many numbers as counters')
    for (const [at, delta] of deltas.entries()) counters[at] = (counters[at] as number) + delta
  }

  read(group: string): Float64Array {
    return this.#of(group).slice()
  }

  reset(group: string): void {
    this.#of(group).fill(0)
  }
}
