/** The server's time of day, as far as its replies told it: never later than it is, for a life counts from it. */
export class ServerTime {
  #told: number | undefined
  #at = 0

  /** Notes what a reply told that came at `now`, by the clock of this process. */
  tell(time: number, now: number): void {
    this.#told = time
    this.#at = now
  }

  /** The time of day at a moment of the clock of this process; `undefined` while nothing was told. */
  when(moment: number): number | undefined {
    return this.#told === undefined ? undefined : this.#told + (moment - this.#at)
  }
}
