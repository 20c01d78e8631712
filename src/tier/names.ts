import { createHash } from 'node:crypto'
import { describe, outOfRange } from '../common/errors.js'
import { checkText } from '../common/validate.js'

/** The most bytes that a name has on the wire. */
export const MAX_NAME_BYTES = 64

/** What a name on the wire begins with that stands for a longer one. */
const HASHED = '~'
const HASHED_CODE = 126

/** How many names that had to be hashed are remembered. */
const REMEMBERED = 4096

/** Whether a text has no half of a character. */
export function isWellFormed(text: string): boolean {
  // Node has it from 20 on, the types from ES2024 on.
  return (text as unknown as { isWellFormed(): boolean }).isWellFormed()
}

let younger = new Map<string, string>()
let older = new Map<string, string>()

/**
 * The name of a key or a tag on the wire: itself, or, for one that is longer than 64 bytes, is no Unicode text or could
 * be taken for one of these, `~` and 22 characters of its hash. Two names have the same only if their hashes collide.
 */
export function wireName(name: string): string {
  // A UTF-16 unit is at most 3 bytes of UTF-8.
  if (name.length * 3 <= MAX_NAME_BYTES && name.charCodeAt(0) !== HASHED_CODE && isWellFormed(name)) {
    return name
  }
  return longName(name)
}

function longName(name: string): string {
  const known = younger.get(name)
  if (known !== undefined) return known
  const wire = older.get(name) ?? (isPlain(name) ? name : hashed(name))
  if (younger.size >= REMEMBERED / 2) {
    older = younger
    younger = new Map()
  }
  // A name of a size that nobody expects must not be kept.
  if (name.length <= 4096) younger.set(name, wire)
  return wire
}

function isPlain(name: string): boolean {
  return (
    name.length <= MAX_NAME_BYTES &&
    name.charCodeAt(0) !== HASHED_CODE &&
    isWellFormed(name) &&
    Buffer.byteLength(name) <= MAX_NAME_BYTES
  )
}

function hashed(name: string): string {
  const digest = createHash('sha256').update(name, 'utf16le').digest()
  return HASHED + digest.toString('base64url', 0, 16)
}

/** The keys of a namespace in Redis. All are in one slot of a cluster. */
export interface RecordKeys {
  /** The record: its newer generation of names, and the older one. */
  readonly newer: string
  readonly older: string
  /** The log of changes. */
  readonly log: string
  /** What the names on the wire of keys are put behind: for an entry, and for the lease of a load. */
  readonly entry: string
  readonly lease: string
}

/** Decisions lie apart, whatever keys a cache of the same namespace has. */
const LETTERS = { cache: ['e', 'q'], policy: ['d', 'p'] } as const

/** What the entries of a namespace are of. */
export type EntryKind = keyof typeof LETTERS

export function keysOf(namespace: string, kind: EntryKind = 'cache'): RecordKeys {
  const prefix = `{sc1:${namespace}}:`
  const [entry, lease] = LETTERS[kind]
  return {
    newer: `${prefix}v`,
    older: `${prefix}w`,
    log: `${prefix}l`,
    entry: `${prefix}${entry}:`,
    lease: `${prefix}${lease}:`,
  }
}

/** Throws unless `namespace` is one that processes may share by: letters, digits, `_ - . :`. */
export function checkNamespace(namespace: unknown, name = 'namespace'): asserts namespace is string {
  checkText(namespace, name)
  if (!/^[A-Za-z0-9_\-.:]+$/.test(namespace)) {
    throw outOfRange(`${name} must be of letters, digits and _ - . : alone, not ${describe(namespace)}`)
  }
}
