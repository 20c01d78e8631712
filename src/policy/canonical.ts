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
  return write(value, [])
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
