import type { AskedQuery } from './query.js'

/** The version of the form of keys; it is part of every key. */
const FORMAT = '2'

/** Characters up to which the text of a key is the key. */
const SHORT = 200

/** A text from which it can be told where it ends, whatever characters it holds and whatever follows. */
export function framed(part: string): string {
  return `${part.length}:${part}`
}

/** A part that may be missing, told apart from every text. */
export function optional(part: string | undefined): string {
  return part === undefined ? '-' : framed(part)
}

/** Loaded with the first long key. */
let hash: ((text: string) => string) | undefined

function digest(text: string): string {
  if (hash === undefined) {
    const { createHash } = require('node:crypto') as typeof import('node:crypto')
    // As UTF-16: the UTF-8 form of a lone surrogate is that of every other one.
    hash = (text) => createHash('sha256').update(text, 'utf16le').digest('base64url')
  }
  return hash(text)
}

/** How the keys begin of the revision that was asked for last: most processes have one. */
let beginning = { revision: '', text: FORMAT + framed('') }

function beginningOf(revision: string): string {
  if (revision !== beginning.revision) beginning = { revision, text: FORMAT + framed(revision) }
  return beginning.text
}

/**
 * The key of a query under a revision of the policies: its parts, each with its length before it, or, where that would
 * be long, their whole SHA-256. Two queries have one key if and only if they are equal, their contexts by RFC 8785.
 */
export function keyOf(policyRevision: string, query: AskedQuery): string {
  const { user, action, resource, tenant, context, sensitivity } = query
  const text =
    beginningOf(policyRevision) +
    optional(tenant) +
    framed(user) +
    framed(action) +
    framed(resource) +
    optional(context) +
    optional(sensitivity)
  // Every text begins with the digit of its format, and no digest with this.
  return text.length <= SHORT ? text : `#${digest(text)}`
}
