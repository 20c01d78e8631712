import { describe, notSerializable } from '../common/errors.js'
import { isPlainObject } from '../common/shape.js'
import type { Stored } from '../engine/stored.js'

/** The bytes in memory that no other thread writes while they are read. */
function settled(bytes: Uint8Array): Uint8Array {
  return bytes.buffer instanceof SharedArrayBuffer ? new Uint8Array(bytes) : bytes
}

let loaded: typeof import('node:util').types | undefined

/** Loaded with the first object of a class: most programs never store one. */
function types(): typeof import('node:util').types {
  loaded ??= (require('node:util') as typeof import('node:util')).types
  return loaded
}

/** Whether an object of a class is no more than its fields, and has any: without, it may have private ones. */
function isRecord(value: object): boolean {
  return Object.keys(value).length > 0 && isClassRecord(value)
}

/** Whether an object is of a class as programs define them, and of none of those that the language has. */
function isClassRecord(value: object): boolean {
  const is = types()
  return !(
    ArrayBuffer.isView(value) ||
    is.isDate(value) ||
    is.isMap(value) ||
    is.isSet(value) ||
    is.isWeakMap(value) ||
    is.isWeakSet(value) ||
    is.isPromise(value) ||
    is.isRegExp(value) ||
    is.isNativeError(value) ||
    is.isAnyArrayBuffer(value) ||
    is.isBoxedPrimitive(value) ||
    is.isGeneratorObject(value) ||
    is.isExternal(value)
  )
}

function isBentObject(value: object): boolean {
  return (
    typeof (value as { toJSON?: unknown }).toJSON === 'function' ||
    (!Array.isArray(value) && !isPlainObject(value) && !isRecord(value))
  )
}

/** Whether JSON gives a value back as it is, fields that are `undefined` apart, which are left out. */
function isKept(value: unknown): boolean {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return true
    case 'number':
      return Number.isFinite(value)
    case 'object':
      break
    default:
      return false
  }
  if (value === null) return true
  if (isBentObject(value)) return false
  if (Array.isArray(value)) {
    for (let at = 0; at < value.length; at++) if (!isKept(value[at])) return false
    return true
  }
  // Not Object.keys, which makes an array; what is inherited is not written, and matters only if it would be bent.
  for (const key in value) {
    const member = (value as Record<string, unknown>)[key]
    if (member !== undefined && !isKept(member) && Object.hasOwn(value, key)) return false
  }
  return true
}

/** A place in a value, from the outside in, and what is there. */
interface Place {
  readonly path: string
  readonly found: unknown
}

/** The first place in a value that JSON does not keep; `undefined` where it keeps all. */
function bentPlace(value: unknown): Place | undefined {
  if (typeof value !== 'object' || value === null || isBentObject(value)) {
    return isKept(value) ? undefined : { path: '', found: value }
  }
  if (Array.isArray(value)) {
    for (let at = 0; at < value.length; at++) {
      const inner = bentPlace(value[at])
      if (inner !== undefined) return { path: `[${at}]${inner.path}`, found: inner.found }
    }
    return undefined
  }
  for (const [key, member] of Object.entries(value)) {
    const inner = member === undefined ? undefined : bentPlace(member)
    if (inner !== undefined) return { path: `.${key}${inner.path}`, found: inner.found }
  }
  return undefined
}

/** What helps with a value that JSON does not hold. */
function advice(value: unknown): string {
  if (value === undefined) return '; it is what a miss returns'
  if (typeof value === 'bigint' || typeof value === 'number') return "; serializer: 'v8' holds it"
  if (typeof value !== 'object' || value === null) return ''
  const is = types()
  if (is.isPromise(value)) return '; await it first'
  if (ArrayBuffer.isView(value) || is.isMap(value) || is.isSet(value) || is.isDate(value)) {
    return "; serializer: 'v8' holds it"
  }
  if (typeof (value as { toJSON?: unknown }).toJSON === 'function') {
    return "; json: 'lenient' stores what its toJSON() returns"
  }
  if (!Array.isArray(value) && isClassRecord(value)) {
    return " without fields of its own; json: 'lenient' stores {}"
  }
  return ''
}

function refuse(place: string, value: unknown, cause?: unknown): never {
  const where = place === '' ? '' : ` at ${place.replace(/^\./, '')}`
  const why = cause instanceof Error ? `: ${cause.message}` : ''
  let hint = ''
  try {
    hint = advice(value)
  } catch {
    // It cannot be read, and nothing helps.
  }
  throw notSerializable(`JSON cannot hold ${describe(value)}${where}${why}${hint}`, cause)
}

/** As {@link bentPlace}, of a value that may contain itself, be too deep, or throw when it is read. */
function placeIn(value: unknown): Place {
  try {
    return bentPlace(value) ?? { path: '', found: value }
  } catch {
    return { path: '', found: value }
  }
}

/** What `JSON.stringify` makes nothing of, however lenient one is. */
function isLost(value: unknown, text: string): boolean {
  if (typeof value === 'number') return !Number.isFinite(value)
  return (
    typeof value === 'object' &&
    value !== null &&
    text === '{}' &&
    !isPlainObject(value) &&
    !isClassRecord(value)
  )
}

function encodeAs(isStrict: boolean): (value: unknown) => Stored {
  return (value) => {
    if (ArrayBuffer.isView(value)) {
      return types().isUint8Array(value) ? settled(value as Uint8Array) : refuse('', value)
    }
    let text: string | undefined
    let isWhole = true
    try {
      text = JSON.stringify(value)
      if (text !== undefined) isWhole = isStrict ? isKept(value) : !isLost(value, text)
    } catch (cause) {
      const { path, found } = placeIn(value)
      refuse(path, found, cause)
    }
    if (text === undefined) refuse('', value)
    if (!isWhole) {
      const { path, found } = isStrict ? placeIn(value) : { path: '', found: value }
      refuse(path, found)
    }
    return text
  }
}

function decode(stored: Stored): unknown {
  return typeof stored === 'string' ? JSON.parse(stored) : stored
}

/** JSON, and `Uint8Array`s as bytes. What JSON would give back as something else is refused. */
export const json = { format: 0, encode: encodeAs(true), decode } as const

/** JSON as `JSON.stringify` writes it, and `Uint8Array`s as bytes. */
export const lenientJson = { format: 0, encode: encodeAs(false), decode } as const
