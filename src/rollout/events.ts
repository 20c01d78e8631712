import { createHmac } from 'node:crypto'
import { type Channel, channel } from 'node:diagnostics_channel'
import type { Outcome } from './compare.js'
import type { RolloutSetting } from './setting.js'

/** Who has the last word, the strongest first. */
export type RolloutSource = 'kill' | 'fallback' | 'set' | 'file' | 'environment' | 'options'

/** Told on `sark-cache:rollout` by each thread that notices a change. */
export interface RolloutMessage extends RolloutSetting {
  name: string
  source: RolloutSource
}

/** Told on `sark-cache:rollout-difference`, at most ten times a second in a thread. */
export interface RolloutDifferenceMessage {
  name: string
  outcome: Exclude<Outcome, 'match'>
  /** The digest of the user, or of the key. */
  subject: string
  /** The digest of the whole question. */
  question: string
  /** Differences since the last message that were not told. */
  suppressed: number
}

/** Told on `sark-cache:rollout-error`: something that leaves the rollout as it was. */
export interface RolloutErrorMessage {
  name: string
  /** `file`: the file cannot be used. `cache`: in shadow, the cache failed where the evaluation did not. */
  what: 'file' | 'cache'
  error: unknown
}

export const changed: Channel = channel('sark-cache:rollout')
export const differed: Channel = channel('sark-cache:rollout-difference')
export const failed: Channel = channel('sark-cache:rollout-error')

/** Messages of a second. */
const MOST = 10

/** Bytes of a digest. */
const DIGEST = 16

/** Tells of differences, by digests and within bounds. */
export class Differences {
  readonly #name: string
  readonly #key: string
  #second = -Infinity
  #told = 0
  #suppressed = 0

  constructor(name: string, digestKey: string) {
    this.#name = name
    this.#key = digestKey
  }

  #digest(text: string): string {
    return createHmac('sha256', this.#key)
      .update(text, 'utf16le')
      .digest()
      .subarray(0, DIGEST)
      .toString('base64url')
  }

  tell(outcome: RolloutDifferenceMessage['outcome'], subject: string, question: string): void {
    if (!differed.hasSubscribers) return
    const now = performance.now()
    if (now - this.#second >= 1_000) {
      this.#second = now
      this.#told = 0
    }
    if (this.#told >= MOST) {
      this.#suppressed++
      return
    }
    this.#told++
    const message: RolloutDifferenceMessage = {
      name: this.#name,
      outcome,
      subject: this.#digest(subject),
      question: this.#digest(question),
      suppressed: this.#suppressed,
    }
    this.#suppressed = 0
    differed.publish(message)
  }
}
