/**
 * Entries as records of bytes:
 *
 * ```text
 * flags: u8 | key: u32 | value: u32 | ms to live: f64, unless for ever | tags: u16, if any | key | value
 * ```
 *
 * Numbers are little-endian, lengths in bytes. `crates/node/src/records.rs` has the same form, for the native engine.
 */

import type { Stored } from './stored.js'

/** An entry as bytes hold it. */
export interface EntryRecord {
  readonly key: string
  readonly value: Stored
  /** Ms that it had to live when it was written; `Infinity` for ever. */
  readonly left: number
  /** How many tags it had. */
  readonly tags: number
}

const WIDE_KEY = 1
const WIDE_VALUE = 2
const BYTES = 4
const FOR_EVER = 8
const TAGGED = 16
const KNOWN = 31

const WIDE = /[^\0-\xff]/

/** Bytes that a record takes beside its key and its value, at the most. */
const RECORD = 19

/** The most bytes that a record takes. */
export function mostBytes({ key, value }: EntryRecord): number {
  return RECORD + 2 * key.length + 2 * value.length
}

function writeText(out: Buffer, at: number, text: string, isWide: boolean): number {
  return isWide ? out.write(text, at, 'utf16le') : out.write(text, at, 'latin1')
}

/** Writes a record at `at` and returns where it ends. There is room for {@link mostBytes}. */
export function writeRecord(out: Buffer, start: number, { key, value, left, tags }: EntryRecord): number {
  const isWideKey = WIDE.test(key)
  const isText = typeof value === 'string'
  const isWideValue = isText && WIDE.test(value)
  let flags = isWideKey ? WIDE_KEY : 0
  if (isWideValue) flags |= WIDE_VALUE
  if (!isText) flags |= BYTES
  let at = start + 9
  if (left === Infinity) flags |= FOR_EVER
  else at = out.writeDoubleLE(left, at)
  if (tags > 0) {
    flags |= TAGGED
    at = out.writeUInt16LE(tags, at)
  }
  const keyLength = writeText(out, at, key, isWideKey)
  at += keyLength
  let valueLength = value.length
  if (isText) valueLength = writeText(out, at, value, isWideValue)
  else out.set(value, at)
  out.writeUInt8(flags, start)
  out.writeUInt32LE(keyLength, start + 1)
  out.writeUInt32LE(valueLength, start + 5)
  return at + valueLength
}

/** The record at `at` and where it ends; `undefined` if there is none. */
export function readRecord(bytes: Buffer, at: number): { record: EntryRecord; end: number } | undefined {
  if (at + 9 > bytes.length) return undefined
  const flags = bytes.readUInt8(at)
  const keyLength = bytes.readUInt32LE(at + 1)
  const valueLength = bytes.readUInt32LE(at + 5)
  const isForEver = (flags & FOR_EVER) !== 0
  const isTagged = (flags & TAGGED) !== 0
  const isWideKey = (flags & WIDE_KEY) !== 0
  const isWideValue = (flags & WIDE_VALUE) !== 0
  const isBytes = (flags & BYTES) !== 0
  const facts = at + 9
  const key = facts + (isForEver ? 0 : 8) + (isTagged ? 2 : 0)
  const value = key + keyLength
  const end = value + valueLength
  if (flags > KNOWN || end > bytes.length || (isBytes && isWideValue)) return undefined
  if ((isWideKey && keyLength % 2 !== 0) || (isWideValue && valueLength % 2 !== 0)) return undefined
  const left = isForEver ? Infinity : bytes.readDoubleLE(facts)
  if (!(left >= 0)) return undefined
  const text = textOf(bytes, key, value, isWideKey)
  // Under a narrow key in the wide form nobody would look.
  if (isWideKey && !WIDE.test(text)) return undefined
  const record = {
    key: text,
    value: isBytes ? new Uint8Array(bytes.subarray(value, end)) : textOf(bytes, value, end, isWideValue),
    left,
    tags: isTagged ? bytes.readUInt16LE(key - 2) : 0,
  }
  return { record, end }
}

function textOf(bytes: Buffer, start: number, end: number, isWide: boolean): string {
  return bytes.toString(isWide ? 'utf16le' : 'latin1', start, end)
}
