import { keyOf } from '../policy/key.js'
import { type AskedQuery, type PolicyQuery, readQuery, type Sensitivity } from '../policy/query.js'

/** Reads the parts of a key, each with its length before it. */
class Parts {
  readonly #text: string
  #at: number

  constructor(text: string, at: number) {
    this.#text = text
    this.#at = at
  }

  /** The next part; `undefined` for one that is missing, `null` where there is no part. */
  next(): string | undefined | null {
    if (this.#text[this.#at] === '-') {
      this.#at++
      return undefined
    }
    const colon = this.#text.indexOf(':', this.#at)
    const digits = this.#text.slice(this.#at, colon)
    if (colon < 0 || !/^\d{1,9}$/.test(digits)) return null
    const end = colon + 1 + Number(digits)
    if (end > this.#text.length) return null
    this.#at = end
    return this.#text.slice(colon + 1, end)
  }
}

/** The text of a question from the key of its decision; `undefined` for a key that does not hold it. */
export function questionOf(key: string): string | undefined {
  const parts = new Parts(key, 1)
  const revision = parts.next()
  const [tenant, user, action, resource, context, sensitivity] = Array.from({ length: 6 }, () => parts.next())
  if (typeof revision !== 'string') return undefined
  const text = JSON.stringify([user, action, resource, tenant ?? null, context ?? null, sensitivity ?? null])
  try {
    // Whatever the form of keys is, this is the question only if it has this very key.
    return keyOf(revision, readQuery(queryOf(text))) === key ? text : undefined
  } catch {
    return undefined
  }
}

/** The query that a text of {@link questionOf} stands for. @throws For a text that is none. */
export function queryOf(text: string): PolicyQuery {
  const parts: unknown = JSON.parse(text)
  if (!Array.isArray(parts) || parts.length !== 6) throw new TypeError('no question')
  const [user, action, resource, tenant, context, sensitivity] = parts as (string | null)[]
  const asked: AskedQuery = {
    user: user as string,
    action: action as string,
    resource: resource as string,
    tenant: tenant ?? undefined,
    context: context ?? undefined,
    sensitivity: (sensitivity ?? undefined) as Sensitivity | undefined,
  }
  const { context: json, ...rest } = asked
  return json === undefined ? rest : { ...rest, context: JSON.parse(json) as unknown }
}
