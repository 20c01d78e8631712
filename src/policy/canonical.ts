import { describe, wrongType } from '../common/errors.js'

/** How deep a context may be nested. */
const MAX_DEPTH = 64

/**
 * The JSON Canonicalization Scheme (RFC 8785): equal values, and only those, have equal texts.
 *
 * @throws `ERR_INVALID_ARG_TYPE`, naming the place, for what JSON cannot hold without loss: `undefined`,
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
      return JSON.stringify(value)
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
  // Array.from makes holes visible as undefined, which is refused.
  const items = Array.from(value, (item, at) => canonicalize(item, `${path}[${at}]`, depth + 1))
  return `[${items.join(',')}]`
}

function record(value: object, path: string, depth: number): string {
  const prototype = Object.getPrototypeOf(value)
  if (prototype !== null && prototype !== Object.prototype) {
    throw wrongType(`${path} is ${describe(value)}; only plain objects and arrays have a canonical form`)
  }
  if (Object.getOwnPropertySymbols(value).length > 0) throw wrongType(`${path} has a symbol as a key`)
  // The default order of sort is by UTF-16 units, as the RFC asks.
  const members = Object.keys(value)
    .sort()
    .map((key) => {
      const member = canonicalize((value as Record<string, unknown>)[key], `${path}.${key}`, depth + 1)
      return `${text(key, path)}:${member}`
    })
  return `{${members.join(',')}}`
}
