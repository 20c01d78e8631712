import { describe, wrongType } from '../common/errors.js'
import { defineOptions, duration, type Parse } from '../common/options.js'
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

const parse = defineOptions<Partial<SensitivityTtls>>(
  'ttl',
  {
    critical: duration,
    confidential: duration,
    internal: duration,
    public: duration,
  },
  'ttl.',
)

/** The option `ttl` of a policy cache. */
export const parseTtls: Parse<Partial<SensitivityTtls>> = (value, name) => {
  if (typeof value !== 'object' || value === null) {
    const example = 'such as { public: 300_000 }'
    throw wrongType(`${name} must be an object of ms by sensitivity, ${example}, not ${describe(value)}`)
  }
  return parse(value)
}

/** How long decisions are kept. */
export class DecisionTtl {
  readonly #bySensitivity: ReadonlyMap<string, number>
  readonly #strictest: number
  readonly #deny: number

  constructor(ttls: Partial<SensitivityTtls> = {}, denyTtl = DEFAULT_DENY_TTL) {
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
