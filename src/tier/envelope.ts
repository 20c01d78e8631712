import { isUtf8 } from 'node:buffer'
import type { Moment } from '../engine/capabilities.js'
import { MAX_TAGS } from '../engine/limits.js'
import type { Stored } from '../engine/stored.js'
import { isWellFormed, MAX_NAME_BYTES } from './names.js'

/** The version of the form of entries. What has another is not believed. */
const VERSION = 1

/** The bytes before the tags. */
const HEAD = 35

/** What a tag begins with in an entry, as among the names of the record. */
const TAG = 35

/** How a payload is to be read: bits 0-1 of an encoding. Bits 2-3 are for compression; 4-7 are the serializer. */
const UTF8 = 0
const BYTES = 1
/** Text that is no Unicode text, which UTF-8 cannot hold. */
const UTF16 = 2
const SERIALIZER_SHIFT = 4
const MOST_SERIALIZERS = 16

/** An entry as it lies in Redis. */
export interface Entry {
  /** The moment at which its load began: it is not believed if anything of it changed later. */
  readonly at: Moment
  readonly encoding: number
  /** Whole ms of 0 or more. */
  readonly ttl: number
  readonly grace: number
  /** The names on the wire of its tags, each of 1 to 64 bytes; 128 at most. */
  readonly tags: readonly string[]
  readonly payload: Uint8Array
}

/** A value, as an entry holds it. */
export interface Payload {
  readonly encoding: number
  readonly payload: Buffer
}

/** @throws A `RangeError` for what no entry can hold: it is a mistake of the caller's. */
export function encodeEntry({ at, encoding, ttl, grace, tags, payload }: Entry): Buffer {
  if (tags.length > MAX_TAGS) throw new RangeError(`an entry takes at most ${MAX_TAGS} tags`)
  let length = HEAD + payload.byteLength
  const names = tags.map((tag) => {
    const name = Buffer.from(tag)
    if (name.length === 0 || name.length > MAX_NAME_BYTES)
      throw new RangeError('a tag must be a name on the wire')
    length += name.length + 2
    return name
  })
  const entry = Buffer.allocUnsafe(length)
  entry[0] = VERSION
  entry.writeUInt8(encoding, 1)
  let end = 2
  for (const number of [at[0], at[1], ttl, grace]) end = writeNumber(entry, number, end)
  entry[end++] = names.length
  for (const name of names) {
    entry[end++] = name.length + 1
    entry[end++] = TAG
    entry.set(name, end)
    end += name.length
  }
  entry.set(payload, end)
  return entry
}

/** The entry in `bytes`, whoever wrote them; `undefined` if it is none. */
export function decodeEntry(bytes: Uint8Array): Entry | undefined {
  const entry = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (entry.length < HEAD || entry[0] !== VERSION) return undefined
  const numbers = [2, 10, 18, 26].map((at) => readNumber(entry, at))
  if (!numbers.every(Number.isSafeInteger)) return undefined
  const [epoch, sequence, ttl, grace] = numbers as [number, number, number, number]
  const tags: string[] = []
  let end = HEAD
  for (let left = entry[HEAD - 1] as number; left > 0; left--) {
    const length = entry[end]
    if (length === undefined || length === 0 || end + length >= entry.length) return undefined
    if (entry[end + 1] !== TAG) return undefined
    tags.push(entry.toString('utf8', end + 2, end + 1 + length))
    end += length + 1
  }
  return {
    at: [epoch, sequence],
    encoding: entry[1] as number,
    ttl,
    grace,
    tags,
    payload: entry.subarray(end),
  }
}

function writeNumber(entry: Buffer, number: number, at: number): number {
  if (!Number.isSafeInteger(number) || number < 0) throw new RangeError(`an entry cannot hold ${number}`)
  entry.writeUInt32BE(Math.floor(number / 2 ** 32), at)
  return entry.writeUInt32BE(number % 2 ** 32, at + 4)
}

function readNumber(entry: Buffer, at: number): number {
  return entry.readUInt32BE(at) * 2 ** 32 + entry.readUInt32BE(at + 4)
}

/**
 * What an engine stores, as an entry holds it.
 *
 * @param format The number of the serializer that wrote it.
 */
export function payloadOf(stored: Stored, format: number): Payload {
  if (!(format >= 0 && format < MOST_SERIALIZERS)) throw new RangeError(`there is no serializer ${format}`)
  const serializer = format << SERIALIZER_SHIFT
  if (typeof stored !== 'string') {
    const payload = Buffer.from(stored.buffer, stored.byteOffset, stored.byteLength)
    return { encoding: serializer | BYTES, payload }
  }
  // JSON escapes the halves of characters; text that is stored as it is given may have them.
  return isWellFormed(stored)
    ? { encoding: serializer | UTF8, payload: Buffer.from(stored) }
    : { encoding: serializer | UTF16, payload: Buffer.from(stored, 'utf16le') }
}

/** What an engine stores for a payload; `undefined` if the serializer `format` did not write it, or nobody could have. */
export function storedOf(payload: Uint8Array, encoding: number, format: number): Stored | undefined {
  const serializer = format << SERIALIZER_SHIFT
  switch (encoding) {
    case serializer | BYTES:
      // The reply that it is a part of may be far larger.
      return new Uint8Array(payload)
    case serializer | UTF8:
      return isUtf8(payload) ? textOf(payload, 'utf8') : undefined
    case serializer | UTF16:
      return payload.byteLength % 2 === 0 ? textOf(payload, 'utf16le') : undefined
    default:
      return undefined
  }
}

function textOf(payload: Uint8Array, encoding: BufferEncoding): string | undefined {
  try {
    return Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString(encoding)
  } catch {
    // It is longer than a string can be.
    return undefined
  }
}
