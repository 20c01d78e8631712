import type { Outcome } from './compare.js'
import { Control, type RolloutState } from './control.js'
import { Differences } from './events.js'
import { parseChange, parseRollout, type RolloutChange, type RolloutOptions } from './setting.js'
import type { ShadowOutcome } from './shadow.js'

/** What calls in shadow came to, in all threads of the process. */
export interface RolloutStats {
  /** The cache would have said the same. */
  match: number
  /** The cache would have let somebody in whom the evaluation does not. */
  stale_allow: number
  /** The cache would have kept somebody out whom the evaluation lets in. */
  stale_deny: number
  /** The same answer, and something else beside it. */
  differs: number
  /** They differed, and what the cache had was gone when the answer was there: nobody would have been served it after. */
  overtaken: number
  /** The cache had nothing; the answer was stored. */
  miss: number
  /** The cache failed where the evaluation did not: it is closed, or cannot hold the answer. */
  failed: number
}

const OUTCOMES: readonly (keyof RolloutStats & ShadowOutcome)[] = [
  'match',
  'stale_allow',
  'stale_deny',
  'differs',
  'overtaken',
  'miss',
  'failed',
]

/** What every rollout has, whatever it wraps. */
export abstract class Rollout implements Disposable {
  /** By what all threads know it. */
  readonly name: string
  /** @internal */
  protected readonly control: Control
  readonly #differences: Differences

  /** @internal */
  constructor(options: RolloutOptions) {
    const parsed = parseRollout(options)
    this.name = parsed.name
    this.#differences = new Differences(parsed.name, parsed.digestKey ?? parsed.name)
    this.control = new Control(parsed, OUTCOMES.length)
  }

  /** What it does now, and who said so. */
  get state(): RolloutState {
    return this.control.state
  }

  /** Changes what it does, in all threads from their next call on. It stays so until the last of them has closed it. */
  set(change: RolloutChange): void {
    this.control.set(parseChange(change))
  }

  /** Takes the cache out, in all threads from their next call on, whatever else is set. */
  kill(): void {
    this.control.kill(true)
  }

  /** Ends what `kill` began; a file or a variable of the environment that kills goes on doing so. */
  revive(): void {
    this.control.kill(false)
  }

  /** Serves from the cache again after a stale allow has ended that. */
  resume(): void {
    this.control.resume()
  }

  stats(): RolloutStats {
    const counts = this.control.shared.counters.read()
    const entries = OUTCOMES.map((outcome, at) => [outcome, counts[at] ?? 0])
    return Object.fromEntries(entries) as Record<keyof RolloutStats, number>
  }

  /** Starts the figures from zero, for all threads. */
  resetStats(): void {
    this.control.shared.counters.reset()
  }

  /** Lets go of the state; every call throws `ERR_CACHE_CLOSED` from then on. What it wraps stays open. */
  close(): void {
    this.control.shared.close()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  /** @internal Counts what a call in shadow came to, tells of a difference, and falls back where it must. */
  protected report(outcome: ShadowOutcome, subject: string, question: string, error: unknown): void {
    try {
      if (outcome === 'stale_allow') this.control.fallBack()
      const deltas = new Float64Array(OUTCOMES.length)
      deltas[OUTCOMES.indexOf(outcome)] = 1
      this.control.shared.counters.add(deltas)
    } catch {
      // It was closed during the call, and that is no matter of who waits for the answer.
    }
    if (outcome === 'failed') this.control.tellError('cache', error)
    else if (isDifference(outcome)) this.#differences.tell(outcome, subject, question)
  }
}

function isDifference(outcome: ShadowOutcome): outcome is Exclude<Outcome, 'match'> {
  return outcome === 'stale_allow' || outcome === 'stale_deny' || outcome === 'differs'
}
