import { describe, notSerializable } from './common/errors.js'
import type { Stored } from './engine/engine.js'

/** How values become text or bytes: as JSON, or with V8's structured clone format. */
export type SerializerName = 'json' | 'v8'

export interface Serializer {
  /** The number under which the engines compare serializers. */
  readonly format: number
  /** @throws A `TypeError` with the code `ERR_CACHE_NOT_SERIALIZABLE`. */
  encode(value: unknown): Stored
  decode(stored: Stored): unknown
}

function isPlain(value: object): boolean {
  const prototype = Object.getPrototypeOf(value)
  return prototype === null || prototype === Object.prototype || Object.getPrototypeOf(prototype) === null
}

/** The bytes in memory that no other thread writes while they are read. */
function settled(bytes: Uint8Array): Uint8Array {
  return bytes.buffer instanceof SharedArrayBuffer ? new Uint8Array(bytes) : bytes
}

function refuse(value: unknown, cause?: unknown): never {
  const advice = "; serializer: 'v8' takes Map, Set, Date, BigInt and typed arrays"
  throw notSerializable(`JSON cannot hold ${describe(value)}${advice}`, cause)
}

const json: Serializer = {
  format: 0,

  encode(value) {
    if (typeof value === 'object' && value !== null) {
      if (ArrayBuffer.isView(value)) return value instanceof Uint8Array ? settled(value) : refuse(value)
    } else if (typeof value === 'number' && !Number.isFinite(value)) {
      refuse(value)
    }
    let text: string | undefined
    try {
      text = JSON.stringify(value)
    } catch (cause) {
      refuse(value, cause)
    }
    if (text === undefined) refuse(value)
    // What a Map, a Set, a Promise or an Error comes to.
    if (text === '{}' && !isPlain(value as object)) refuse(value)
    return text
  },

  decode(stored) {
    return typeof stored === 'string' ? JSON.parse(stored) : stored
  },
}

/** Loaded with the first value that needs it: most programs never do, and it takes a while. */
function format(): typeof import('node:v8') {
  return require('node:v8')
}

const v8: Serializer = {
  format: 1,

  encode(value) {
    if (value === undefined) throw notSerializable('undefined is what a miss returns and cannot be stored')
    try {
      const bytes = format().serialize(value)
      return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    } catch (cause) {
      throw notSerializable(`the v8 serializer cannot hold ${describe(value)}`, cause)
    }
  },

  decode(stored) {
    return format().deserialize(stored as Uint8Array)
  },
}

export const serializers: Record<SerializerName, Serializer> = { json, v8 }

/** The format of values that are kept as the caller gave them. */
export const RAW_FORMAT = 2
