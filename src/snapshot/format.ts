/**
 * A snapshot is a header, blocks of records, and an end:
 *
 * ```text
 * header  magic: 8 bytes | version: u32 | kind: u8 | serializer: u8 | 0: u16 | created: f64 | id: 16 bytes | digest
 * block   mark: u32 | index: u32 | length: u32 | count: u32 | written: f64 | check: 4 bytes | digest | records
 * end     as a block: index is the number of blocks, and instead of records the digest of all their digests
 * ```
 *
 * Records are those of `engine/records.ts`. Numbers are little-endian, times ms since the epoch, lengths bytes. Digests are the first 16 bytes of a SHA-256; those
 * of a block are made of the id, what comes before the check, and the records, so that no block is taken for another.
 */

import { createHash } from 'node:crypto'

export const VERSION = 1
export const MAGIC = Buffer.from('SARKSNAP', 'latin1')
export const HEADER = 56
export const BLOCK = 44

/** What a snapshot holds. */
export const Kind = { Entries: 1, Questions: 2 } as const

const RECORDS = 0x4b_4c_42_53
const END = 0x44_4e_45_53

const ID = 16
const DIGEST = 16
const CHECKED = 24
const CHECK = 4

export interface Header {
  readonly kind: number
  readonly serializer: number
  readonly created: number
  readonly id: Buffer
}

export interface BlockHeader {
  readonly isEnd: boolean
  readonly index: number
  readonly length: number
  readonly count: number
  readonly written: number
}

export function digestOf(...parts: Uint8Array[]): Buffer {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return hash.digest().subarray(0, DIGEST)
}

export function writeHeader({ kind, serializer, created, id }: Header): Buffer {
  const out = Buffer.alloc(HEADER)
  MAGIC.copy(out)
  out.writeUInt32LE(VERSION, 8)
  out.writeUInt8(kind, 12)
  out.writeUInt8(serializer, 13)
  out.writeDoubleLE(created, 16)
  id.copy(out, 24, 0, ID)
  digestOf(out.subarray(0, 24 + ID)).copy(out, 24 + ID)
  return out
}

/** The header in the first bytes of a file, or what is wrong with it. */
export function readHeader(bytes: Buffer): Header | 'truncated' | 'foreign' | 'newer' | 'corrupt' {
  if (!MAGIC.subarray(0, bytes.length).equals(bytes.subarray(0, MAGIC.length))) return 'foreign'
  if (bytes.length < 12) return 'truncated'
  if (bytes.readUInt32LE(8) > VERSION) return 'newer'
  if (bytes.length < HEADER) return 'truncated'
  if (!digestOf(bytes.subarray(0, 24 + ID)).equals(bytes.subarray(24 + ID, HEADER))) return 'corrupt'
  return {
    kind: bytes.readUInt8(12),
    serializer: bytes.readUInt8(13),
    created: bytes.readDoubleLE(16),
    id: Buffer.from(bytes.subarray(24, 24 + ID)),
  }
}

/** Writes the header of a block into its first bytes; its payload is behind. */
export function sealBlock(block: Buffer, id: Buffer, header: Omit<BlockHeader, 'length'>): Buffer {
  block.writeUInt32LE(header.isEnd ? END : RECORDS, 0)
  block.writeUInt32LE(header.index, 4)
  block.writeUInt32LE(block.length - BLOCK, 8)
  block.writeUInt32LE(header.count, 12)
  block.writeDoubleLE(header.written, 16)
  const checked = block.subarray(0, CHECKED)
  digestOf(id, checked).copy(block, CHECKED, 0, CHECK)
  const digest = digestOf(id, checked, block.subarray(BLOCK))
  digest.copy(block, CHECKED + CHECK)
  return digest
}

/** The header of a block; `undefined` if it is none of this file. */
export function readBlock(bytes: Buffer, id: Buffer): BlockHeader | undefined {
  const mark = bytes.readUInt32LE(0)
  if (mark !== RECORDS && mark !== END) return undefined
  const check = digestOf(id, bytes.subarray(0, CHECKED)).subarray(0, CHECK)
  if (!check.equals(bytes.subarray(CHECKED, CHECKED + CHECK))) return undefined
  return {
    isEnd: mark === END,
    index: bytes.readUInt32LE(4),
    length: bytes.readUInt32LE(8),
    count: bytes.readUInt32LE(12),
    written: bytes.readDoubleLE(16),
  }
}

/** The digest of a block if its payload is what was written; else `undefined`. */
export function verifiedDigest(block: Buffer, id: Buffer, payload: Buffer): Buffer | undefined {
  const digest = digestOf(id, block.subarray(0, CHECKED), payload)
  return digest.equals(block.subarray(CHECKED + CHECK, BLOCK)) ? digest : undefined
}
