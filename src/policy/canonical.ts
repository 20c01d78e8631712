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
export function canonicalize(value: unknown, path = 'context', depth = 0): string {
  if (depth > MAX_DEPTH) throw wrongType(`${path} is nested deeper than ${MAX_DEPTH}, or contains itself`)
  switch (typeof value) {
    case 'string':
      return text(value, path)
    case 'boolean':
      return value ? 'true' : 'false'
    case 'number':
      if (!Number.isFinite(value)) throw wrongType(`${path} is ${value}, which JSON cannot hold`)
      // ECMAScript's own shortest form is the one that the RFC asks for; -0 is written 0.
      return String(value === 0 ? 0 : value)
    case 'object':
      if (value === null) return 'null'
      return Array.isArray(value) ? list(value, path, depth) : record(value, path, depth)
    default:
      throw wrongType(`${path} is ${describe(value)}, which JSON cannot hold`)
  }
}

const LONE_SURROGATE = /\p{Surrogate}/u

function text(value: string, path: string): string {
  if (LONE_SURROGATE.test(value)) throw wrongType(`${path} holds a lone surrogate, which is no character`)
  return JSON.stringify(value)
}

function list(value: readonly unknown[], path: string, depth: number): string {
  let out = '['
  const { length } = value
  for (let at = 0; at < length; at++) {
    if (at > 0) out += ','
    out += canonicalize(value[at], `${path}[${at}]`, depth + 1)
  }
  return `${out}]`
}

function record(value: object, path: string, depth: number): string {
  if (!isPlainObject(value)) {
    throw wrongType(`${path} is ${describe(value)}; only plain objects and arrays have a canonical form`)
  }
  if (Object.getOwnPropertySymbols(value).length > 0) throw wrongType(`${path} has a symbol as a key`)
  let out = ''
  // The default order of sort is by UTF-16 units, as the RFC asks.
  for (const key of Object.keys(value).sort()) {
    const member = (value as Record<string, unknown>)[key]
    if (member === undefined) continue
    out += `${out === '' ? '' : ','}${text(key, path)}:${canonicalize(member, `${path}.${key}`, depth + 1)}`
  }
  return `{${out}}`
}
