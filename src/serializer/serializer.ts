import type { Stored } from '../engine/stored.js'
import { json, lenientJson } from './json.js'
import { v8 } from './v8.js'

/** How values become text or bytes: as JSON, or with V8's structured clone format. */
export type SerializerName = 'json' | 'v8'

/**
 * What becomes of a value that JSON would bend: `strict` refuses it, `lenient` stores what `JSON.stringify` makes of it.
 */
export type JsonMode = 'strict' | 'lenient'

/** Values to what an engine stores, and back. */
export interface Serializer {
  /** The number under which the engines compare serializers. */
  readonly format: number
  /** @throws A `TypeError` with the code `ERR_CACHE_NOT_SERIALIZABLE`. */
  encode(value: unknown): Stored
  decode(stored: Stored): unknown
}

/** The serializer of this number, writing JSON as `mode` says; `undefined` for values that are kept as they are given. */
export function serializerOf(format: number, mode: JsonMode): Serializer | undefined {
  if (format === json.format) return mode === 'strict' ? json : lenientJson
  return format === v8.format ? v8 : undefined
}

/** The number of each serializer. */
export const FORMATS: Record<SerializerName, number> = { json: json.format, v8: v8.format }

/** The number for values that are kept as the caller gave them. */
export const RAW_FORMAT = 2
