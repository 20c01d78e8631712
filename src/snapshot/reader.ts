import { createHash } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import { openSnapshot, readAt } from './file.js'
import { BLOCK, HEADER, readBlock, readHeader, verifiedDigest } from './format.js'

/** What a file turned out to be. */
export type SnapshotState = 'complete' | 'missing' | 'truncated' | 'corrupt' | 'foreign' | 'newer'

const REASONS = {
  truncated: 'its end is missing',
  foreign: 'it is no snapshot of a cache',
  newer: 'a newer version of the package wrote it',
  corrupt: 'its header is damaged',
}

/** The records of a block. */
export interface Block {
  /** Good until the next block is asked for. */
  readonly bytes: Buffer
  /** The ms since the epoch at which they had as long to live as they say. */
  readonly written: number
}

/** What must be so for a snapshot to be one of the cache. */
export interface Expected {
  readonly kind: number
  /** The serializer, where records hold values. */
  readonly serializer: number | undefined
}

/** Reads a snapshot: what is intact of it, and what it was. */
export class SnapshotReader {
  state: SnapshotState = 'complete'
  reason: string | undefined
  readonly #file: string
  readonly #expected: Expected

  constructor(file: string, expected: Expected) {
    this.#file = file
    this.#expected = expected
  }

  /** To be told where an intact block holds something else than records. */
  onBroken(): void {
    this.#end('corrupt', 'a block holds what is no record')
  }

  #end(state: SnapshotState, reason: string): void {
    // The first thing that was wrong is the one to tell.
    if (this.state !== 'complete') return
    this.state = state
    this.reason = reason
  }

  /** The blocks that are intact; `state` and `reason` hold once they have ended. */
  async *blocks(): AsyncGenerator<Block, void, undefined> {
    const opened = await openSnapshot(this.#file)
    if (opened.refusal !== undefined) {
      this.#end(opened.refusal, opened.reason)
      return
    }
    try {
      yield* this.#read(opened.handle, opened.size)
    } finally {
      await opened.handle.close()
    }
  }

  async *#read(handle: FileHandle, size: number): AsyncGenerator<Block, void, undefined> {
    const header = readHeader(await readAt(handle, Buffer.alloc(HEADER), 0))
    if (typeof header === 'string') return this.#end(header, REASONS[header])
    const { kind, serializer } = this.#expected
    if (header.kind !== kind) return this.#end('foreign', 'it is of another kind of cache')
    if (serializer !== undefined && header.serializer !== serializer) {
      return this.#end('foreign', 'it is of a cache with another serializer')
    }
    const digests = createHash('sha256')
    let position = HEADER
    let memory = Buffer.alloc(0)
    for (let index = 0; ; index++) {
      const head = await readAt(handle, Buffer.alloc(BLOCK), position)
      if (head.length < BLOCK) return this.#end('truncated', REASONS.truncated)
      const block = readBlock(head, header.id)
      if (block === undefined || block.index !== index) {
        return this.#end('corrupt', `block ${index} is damaged, and what follows it cannot be found`)
      }
      position += BLOCK
      // Before memory is asked for.
      if (position + block.length > size) return this.#end('truncated', REASONS.truncated)
      if (block.length > memory.length) memory = Buffer.allocUnsafe(block.length)
      const payload = await readAt(handle, memory.subarray(0, block.length), position)
      if (payload.length < block.length) return this.#end('truncated', REASONS.truncated)
      position += block.length
      const digest = verifiedDigest(head, header.id, payload)
      if (digest === undefined) {
        this.#end('corrupt', `block ${index} is damaged`)
        if (block.isEnd) return
        continue
      }
      if (block.isEnd) {
        if (!digests.digest().subarray(0, 16).equals(payload))
          this.#end('corrupt', 'its blocks are not all its own')
        else if (position < size) this.#end('corrupt', 'something follows its end')
        return
      }
      digests.update(digest)
      yield { bytes: payload, written: block.written }
    }
  }
}
