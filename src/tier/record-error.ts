import type { RecordFailure } from './record.js'

/** Replies that say that this connection may no longer be relied on, before it is attached anew. */
const DETACHED = ['NOEPOCH', 'NOTMASTER', 'READONLY', 'MOVED', 'ASK'] as const

/** Replies of a server that cannot do it now. */
const UNAVAILABLE = [
  'OOM',
  'LOADING',
  'BUSY',
  'TRYAGAIN',
  'MASTERDOWN',
  'CLUSTERDOWN',
  'NOREPLICAS',
  'MISCONF',
  'UNKILLABLE',
] as const

/** Replies of a server that will never do it. */
const REFUSED = [
  'NOPERM',
  'NOAUTH',
  'WRONGPASS',
  'NOPROTO',
  'WRONGTYPE',
  'CROSSSLOT',
  'NOIDENTITY',
  'EXHAUSTED',
] as const

const FAILURES = new Map<string, RecordFailure>([
  ...DETACHED.map((code): [string, RecordFailure] => [code, 'detached']),
  ...UNAVAILABLE.map((code): [string, RecordFailure] => [code, 'unavailable']),
  ...REFUSED.map((code): [string, RecordFailure] => [code, 'refused']),
])

/** Why a command of the record came to nothing; the error of the connection or the server is its cause. */
export class RecordError extends Error {
  readonly failure: RecordFailure

  constructor(failure: RecordFailure, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'RecordError'
    this.failure = failure
  }
}

/** The failure behind the message of an error reply, or of an error of the connection. */
export function failureOf(message: string): RecordFailure {
  const code = /^-?([A-Z]+)\b/.exec(message)?.[1]
  const failure = code === undefined ? undefined : FAILURES.get(code)
  if (failure !== undefined) return failure
  const isOfScript = message.startsWith('@user_script')
  if (code !== 'ERR' && !isOfScript) return 'unavailable'
  // Redis 6.2 puts what failed within a script behind where in the script it did.
  for (const [word] of message.matchAll(/\b[A-Z]{3,}\b/g)) {
    const inner = FAILURES.get(word)
    if (inner !== undefined) return inner
  }
  return /max number of clients/.test(message) ? 'unavailable' : 'refused'
}

/** The `RecordError` for whatever a command rejected with. */
export function recordError(cause: unknown): RecordError {
  if (cause instanceof RecordError) return cause
  const message = cause instanceof Error ? cause.message : String(cause)
  return new RecordError(failureOf(message), `Redis: ${message}`, { cause })
}
