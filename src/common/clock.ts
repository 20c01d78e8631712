import { describe, reading, wrongType } from './errors.js'

/** A source of time. `Date` and `performance` are two. */
export interface Clock {
  /** Ms since whenever the clock began. What it says later is not less; if it is, it counts as no time passed. */
  now(): number
}

/** The monotonic clock of the process. */
export const systemClock: Clock = { now: () => performance.now() }

/** A clock as the engines take it: what it says is never less than what it said before. */
export function neverBack(clock: Clock): Clock {
  let latest = -Infinity
  return {
    now() {
      latest = Math.max(latest, clock.now())
      return latest
    },
  }
}

/** A clock given as an option. */
export function parseClock(value: unknown, name: string): Clock {
  return reading(name, () => {
    const clock = value as Clock | null
    if ((typeof clock !== 'object' && typeof clock !== 'function') || typeof clock?.now !== 'function') {
      throw wrongType(
        `${name} must have a method now(), as Date and performance have, not ${describe(value)}`,
      )
    }
    return clock
  })
}

/** Differences in ms up to which a clock tells the time of day, as `Date` does. */
const SAME_CLOCK = 1_000

/**
 * A function that gives the time of day in ms since the epoch, by a clock of the caller's: what `expiresAt` is compared
 * with. A clock that began at another time is taken to have said the time of day when this was called.
 */
export function timeOfDay(clock: Clock | undefined): () => number {
  if (clock === undefined) return Date.now
  const offset = Date.now() - clock.now()
  return Math.abs(offset) < SAME_CLOCK ? () => clock.now() : () => clock.now() + offset
}
