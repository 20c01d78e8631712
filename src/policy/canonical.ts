import { describe, wrongType } from '../common/errors.js'
import { isPlainObject } from '../common/shape.js'

/** How deep a context may be nested. */
const MAX_DEPTH = 64

/**
 * The JSON Canonicalization Scheme (RFC 8785): equal values, and only those, have equal texts. A field that is
 * `undefined` is as one that is not there. Of an array only its items count.
 *
 * Each part of the value is read once, so that what it is parsed to again is what was written, whatever a getter or a
 * proxy says the second time.
 *
 * @throws `ERR_INVALID_ARG_TYPE`, naming the place, for what JSON cannot hold without loss: `undefined` in an array,
 * functions, symbols, BigInt, NaN and infinities, lone surrogates, holes in arrays, objects with a class
 * (Map, Date and so on), and nesting deeper than 64.
 */
export function canonicalize(value: unknown): string {
  return writeUsual(value, 0) ?? write(value, [])
}

/** As {@link write}, of what contexts are made of as a rule; `undefined` if anything in it is not, or is wrong. */
function writeUsual(value: unknown, depth: number): string | undefined {
  switch (typeof value) {
    case 'string':
      return isPlain(value) ? `"${value}"` : undefined
    case 'boolean':
      return value ? 'true' : 'false'
    case 'number':
      return Number.isFinite(value) ? String(value === 0 ? 0 : value) : undefined
    case 'object':
      if (value === null) return 'null'
      return depth < MAX_DEPTH ? writeUsualObject(value, depth) : undefined
    default:
      return undefined
  }
}

function writeUsualObject(value: object, depth: number): string | undefined {
  if (Array.isArray(value)) return writeUsualList(value, depth)
  if (Object.getPrototypeOf(value) !== Object.prototype) return undefined
  if (Object.getOwnPropertySymbols(value).length > 0) return undefined
  const keys = Object.keys(value)
  if (!isSorted(keys)) keys.sort()
  let out = ''
  for (const key of keys) {
    const member = (value as Record<string, unknown>)[key]
    if (member === undefined) continue
    const written = writeUsual(member, depth + 1)
    if (written === undefined || !isPlain(key)) return undefined
    out += out === '' ? `"${key}":${written}` : `,"${key}":${written}`
  }
  return `{${out}}`
}

function writeUsualList(value: readonly unknown[], depth: number): string | undefined {
  let out = ''
  const { length } = value
  for (let at = 0; at < length; at++) {
    const written = writeUsual(value[at], depth + 1)
    if (written === undefined) return undefined
    out += at === 0 ? written : `,${written}`
  }
  return `[${out}]`
}

/** Characters up to which a loop over them is faster than an expression. */
const SHORT = 64

/** Whether JSON writes a text as it is. */
function isPlain(value: string): boolean {
  if (value.length > SHORT) return PLAIN.test(value)
  for (let at = 0; at < value.length; at++) {
    const unit = value.charCodeAt(at)
    // Printable ASCII but the quote and the backslash.
    if (unit < 0x20 || unit > 0x7e || unit === 0x22 || unit === 0x5c) return false
  }
  return true
}

/** The way to a part of the context. */
type Path = (string | number)[]

function shown(path: Path): string {
  return path.reduce<string>(
    (out, key) => out + (typeof key === 'number' ? `[${key}]` : `.${key}`),
    'context',
  )
}

function write(value: unknown, path: Path): string {
  if (path.length > MAX_DEPTH) {
    throw wrongType(`${shown(path)} is nested deeper than ${MAX_DEPTH}, or contains itself`)
  }
  switch (typeof value) {
    case 'string':
      return text(value, path)
    case 'boolean':
      return value ? 'true' : 'false'
    case 'number':
      if (!Number.isFinite(value)) throw wrongType(`${shown(path)} is ${value}, which JSON cannot hold`)
      // ECMAScript's own shortest form is the one that the RFC asks for; -0 is written 0.
      return String(value === 0 ? 0 : value)
    case 'object':
      if (value === null) return 'null'
      return Array.isArray(value) ? list(value, path) : record(value, path)
    default:
      throw wrongType(`${shown(path)} is ${describe(value)}, which JSON cannot hold`)
  }
}

/** Text that JSON writes as it is. */
const PLAIN = /^[ !#-[\]-~]*$/

const LONE_SURROGATE = /\p{Surrogate}/u

function text(value: string, path: Path): string {
  if (PLAIN.test(value)) return `"${value}"`
  if (LONE_SURROGATE.test(value)) {
    throw wrongType(`${shown(path)} holds a lone surrogate, which is no character`)
  }
  return JSON.stringify(value)
}

/** The text of a member of what lies at `path`. */
function inner(value: unknown, path: Path, key: string | number): string {
  path.push(key)
  const out = write(value, path)
  path.pop()
  return out
}

function list(value: readonly unknown[], path: Path): string {
  let out = '['
  const { length } = value
  for (let at = 0; at < length; at++) {
    if (at > 0) out += ','
    out += inner(value[at], path, at)
  }
  return `${out}]`
}

function isSorted(keys: readonly string[]): boolean {
  for (let at = 1; at < keys.length; at++) {
    if ((keys[at - 1] as string) > (keys[at] as string)) return false
  }
  return true
}

function record(value: object, path: Path): string {
  if (!isPlainObject(value)) {
    throw wrongType(
      `${shown(path)} is ${describe(value)}; only plain objects and arrays have a canonical form`,
    )
  }
  if (Object.getOwnPropertySymbols(value).length > 0) throw wrongType(`${shown(path)} has a symbol as a key`)
  let out = ''
  const keys = Object.keys(value)
  // The default order of sort is by UTF-16 units, as the RFC asks.
  if (!isSorted(keys)) keys.sort()
  for (const key of keys) {
    const member = (value as Record<string, unknown>)[key]
    if (member === undefined) continue
    out += `${out === '' ? '' : ','}${text(key, path)}:${inner(member, path, key)}`
  }
  return `{${out}}`
}
