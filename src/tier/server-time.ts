/** Ms after which what was told is forgotten: the server's clock may have been set since. */
const LASTS = 60_000

/** The server's time of day, as far as its replies told it: never later than it is, for a life counts from it. */
export class ServerTime {
  #told: number | undefined
  #at = 0

  /** Notes what a reply told that came at `now`, by the clock of this process. */
  tell(time: number, now: number): void {
    this.#told = time
    this.#at = now
  }

  /** The time of day at a moment of the clock of this process; `undefined` while nothing was told of late. */
  when(moment: number): number | undefined {
    if (this.#told === undefined || moment - this.#at > LASTS) return undefined
    return this.#told + (moment - this.#at)
  }
}
