import { outOfRange } from '../common/errors.js'
import { checkTtl } from '../common/validate.js'
import type { Sensitivity } from './query.js'

/** Ms that a decision lives, by the sensitivity of its resource. */
export type SensitivityTtls = Record<Sensitivity, number>

const DEFAULTS: SensitivityTtls = {
  critical: 60_000,
  confidential: 120_000,
  internal: 180_000,
  public: 300_000,
}

/** Ms that a denial lives at the most. */
const DEFAULT_DENY_TTL = 30_000

/** How long decisions are kept. */
export class DecisionTtl {
  readonly #bySensitivity: ReadonlyMap<string, number>
  readonly #strictest: number
  readonly #deny: number

  constructor(ttls: Partial<SensitivityTtls> = {}, denyTtl = DEFAULT_DENY_TTL) {
    for (const [sensitivity, ttl] of Object.entries(ttls)) {
      if (!Object.hasOwn(DEFAULTS, sensitivity)) {
        throw outOfRange(`ttl has an unknown sensitivity ${JSON.stringify(sensitivity)}`)
      }
      checkTtl(ttl, `ttl.${sensitivity}`)
    }
    checkTtl(denyTtl, 'denyTtl')
    const all = { ...DEFAULTS, ...ttls }
    this.#bySensitivity = new Map(Object.entries(all))
    this.#strictest = Math.min(...Object.values(all))
    this.#deny = denyTtl
  }

  /**
   * Ms for a decision: `asked` if it is given, else what the sensitivity says, where one that is missing or
   * unknown takes the strictest. A denial is cut short in any case.
   */
  of(sensitivity: string | undefined, allowed: boolean, asked?: number): number {
    const ttl = asked ?? this.#bySensitivity.get(sensitivity ?? '') ?? this.#strictest
    return allowed ? ttl : Math.min(ttl, this.#deny)
  }
}
