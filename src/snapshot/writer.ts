import { createHash, randomBytes } from 'node:crypto'
import type { RecordSlice } from '../engine/capabilities.js'
import type { NewFile } from './file.js'
import { BLOCK, sealBlock, writeHeader } from './format.js'

/** Bytes of a block, but for one whose only record is larger. */
const SIZE = 256 << 10

/** Writes records into a file, a block at a time; while one is written, the next is filled. */
export class SnapshotWriter {
  readonly #file: NewFile
  readonly #id = randomBytes(16)
  readonly #timeOfDay: () => number
  readonly #digests = createHash('sha256')
  #block = Buffer.allocUnsafe(SIZE)
  #spare = Buffer.allocUnsafe(SIZE)
  #at = BLOCK
  #count = 0
  #index = 0
  /** When the records of the block had as long to live as they say. */
  #written = 0
  #writing: Promise<unknown>
  records = 0
  bytes = 0

  constructor(file: NewFile, kind: number, serializer: number, timeOfDay: () => number) {
    this.#file = file
    this.#timeOfDay = timeOfDay
    this.#writing = this.#write(writeHeader({ kind, serializer, created: timeOfDay(), id: this.#id }))
  }

  #write(bytes: Buffer): Promise<unknown> {
    this.bytes += bytes.length
    const written = writeAll(this.#file, bytes)
    // It is awaited before the next one, which may be never.
    written.catch(() => {})
    return written
  }

  /** Takes records of this moment; a promise where a block has to be written before. */
  add({ count, bytes }: RecordSlice): Promise<void> | undefined {
    // Now: it may be a while until there is room.
    const written = this.#timeOfDay()
    if (this.#at + bytes.length <= this.#block.length) {
      this.#append(count, bytes, written)
      return undefined
    }
    return this.#addBehind(count, bytes, written)
  }

  async #addBehind(count: number, bytes: Uint8Array, written: number): Promise<void> {
    await this.#flush()
    if (BLOCK + bytes.length > this.#block.length) this.#block = Buffer.allocUnsafe(BLOCK + bytes.length)
    this.#append(count, bytes, written)
  }

  #append(count: number, bytes: Uint8Array, written: number): void {
    // The time of the first: what is a little late lives a little shorter.
    if (this.#count === 0) this.#written = written
    this.#block.set(bytes, this.#at)
    this.#at += bytes.length
    this.#count += count
    this.records += count
  }

  /** Sends the block off, once the one before it is written. */
  async #flush(): Promise<void> {
    if (this.#count === 0) return
    const block = this.#block.subarray(0, this.#at)
    const header = { isEnd: false, index: this.#index, count: this.#count, written: this.#written }
    this.#digests.update(sealBlock(block, this.#id, header))
    await this.#writing
    this.#writing = this.#write(block)
    ;[this.#block, this.#spare] = [this.#spare, this.#block]
    if (this.#spare.length > SIZE) this.#spare = Buffer.allocUnsafe(SIZE)
    this.#index++
    this.#at = BLOCK
    this.#count = 0
  }

  /** Writes what is left, and the end. */
  async end(): Promise<void> {
    await this.#flush()
    const end = Buffer.concat([Buffer.alloc(BLOCK), this.#digests.digest().subarray(0, 16)])
    const header = {
      isEnd: true,
      index: this.#index,
      count: this.records % 2 ** 32,
      written: this.#timeOfDay(),
    }
    sealBlock(end, this.#id, header)
    await this.#writing
    await this.#write(end)
  }

  /** Waits for what is under way, whatever becomes of it: its memory must not be used for something else before. */
  async settle(): Promise<void> {
    await this.#writing.catch(() => {})
  }
}

async function writeAll({ handle }: NewFile, bytes: Buffer): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    const { bytesWritten } = await handle.write(bytes, at, bytes.length - at)
    at += bytesWritten
  }
}
