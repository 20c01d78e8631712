import { describe, notSerializable } from '../common/errors.js'
import { isPlainObject } from '../common/shape.js'
import type { Stored } from '../engine/engine.js'

/** The bytes in memory that no other thread writes while they are read. */
function settled(bytes: Uint8Array): Uint8Array {
  return bytes.buffer instanceof SharedArrayBuffer ? new Uint8Array(bytes) : bytes
}

/** Loaded with the first object of a class: most programs never store one. */
function types(): typeof import('node:util').types {
  return (require('node:util') as typeof import('node:util')).types
}

/** Whether an object of a class is no more than its fields, as those that programs define are, and has any. */
function isRecord(value: object): boolean {
  const is = types()
  if (Object.keys(value).length === 0) return false
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
  for (const key of Object.keys(value)) {
    const member = (value as Record<string, unknown>)[key]
    if (member !== undefined && !isKept(member)) return false
  }
  return true
}

/** The first place in a value that JSON does not keep, and what is there. */
function bentPlace(value: unknown, path: string): readonly [path: string, found: unknown] {
  if (typeof value !== 'object' || value === null || isBentObject(value)) return [path, value]
  if (Array.isArray(value)) {
    for (let at = 0; at < value.length; at++) {
      if (!isKept(value[at])) return bentPlace(value[at], `${path}[${at}]`)
    }
  } else {
    for (const [key, member] of Object.entries(value)) {
      if (member !== undefined && !isKept(member)) return bentPlace(member, `${path}.${key}`)
    }
  }
  return [path, value]
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

/** As {@link bentPlace}, of a value that could not even be written: it may contain itself, or throw when it is read. */
function brokenPlace(value: unknown): readonly [path: string, found: unknown] {
  try {
    return bentPlace(value, '')
  } catch {
    return ['', value]
  }
}

/** What `JSON.stringify` makes nothing of, however lenient one is. */
function isLost(value: unknown, text: string): boolean {
  if (typeof value === 'number') return !Number.isFinite(value)
  return typeof value === 'object' && value !== null && text === '{}' && !isPlainObject(value)
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
      const [place, found] = brokenPlace(value)
      refuse(place, found, cause)
    }
    if (text === undefined) refuse('', value)
    if (!isWhole) {
      const [place, found] = isStrict ? bentPlace(value, '') : (['', value] as const)
      refuse(place, found)
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
