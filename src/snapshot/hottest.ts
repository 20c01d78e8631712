import type { Pace } from './pace.js'

/** Something with the uses that it had. */
export interface Used {
  readonly uses: number
}

/** Items that are sorted at once. */
const RUN = 2_048

/** Steps of a merge between two looks at the time. */
const STEPS = 512

/** Sorts any number of items by their uses, the most used first, in slices. */
export class Hottest<T extends Used> {
  #runs: T[][] = []
  #run: T[] = []

  add(item: T): void {
    this.#run.push(item)
    if (this.#run.length >= RUN) this.#close()
  }

  #close(): void {
    this.#runs.push(this.#run.sort((a, b) => b.uses - a.uses))
    this.#run = []
  }

  /** All of them; the sorter is empty then. */
  async all(pace: Pace): Promise<T[]> {
    this.#close()
    while (this.#runs.length > 1) {
      const merged: T[][] = []
      for (let at = 0; at < this.#runs.length; at += 2) {
        merged.push(await merge(this.#runs[at] as T[], this.#runs[at + 1] ?? [], pace))
      }
      this.#runs = merged
    }
    const [all = []] = this.#runs
    this.#runs = []
    return all
  }
}

async function merge<T extends Used>(one: readonly T[], other: readonly T[], pace: Pace): Promise<T[]> {
  const out: T[] = []
  let [first, second] = [0, 0]
  while (first < one.length || second < other.length) {
    const [a, b] = [one[first], other[second]]
    if (b === undefined || (a !== undefined && a.uses >= b.uses)) {
      out.push(a as T)
      first++
    } else {
      out.push(b)
      second++
    }
    if (out.length % STEPS === 0 && pace.isOver) await pace.next()
  }
  return out
}
