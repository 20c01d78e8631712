import type { CacheCore } from '../cache/core.js'
import type { Restored } from '../engine/capabilities.js'
import { Outcome } from '../engine/engine.js'
import { checkedTags } from '../engine/limits.js'
import { type EntryRecord, readRecord } from '../engine/records.js'
import { Kind } from './format.js'
import { type DumpOptions, type LoadOptions, type LoadResult, noResult } from './options.js'
import { Pace } from './pace.js'
import { type Block, SnapshotReader } from './reader.js'
import type { SnapshotWriter } from './writer.js'

/** Records that are stored at once: some hundred µs of work. */
const SLICE = 256

/** Writes the entries of a cache. */
export async function writeEntries<V>(
  { engine }: CacheCore<V>,
  writer: SnapshotWriter,
  { max = Infinity, signal }: DumpOptions,
): Promise<void> {
  const pace = new Pace()
  for (const slice of engine.toRecords(max)) {
    const full = writer.add(slice)
    if (full !== undefined) await full
    if (pace.isOver) await pace.next()
    signal?.throwIfAborted()
  }
}

/** Stores what a snapshot holds of a cache, where the cache has nothing and nothing changed meanwhile. */
export async function loadEntries<V>(
  core: CacheCore<V>,
  file: string,
  { tags, signal }: LoadOptions,
): Promise<LoadResult> {
  const result = noResult()
  // Before the file is read: what is invalidated from now on is not brought back.
  const fence = core.engine.fence()
  const pace = new Pace()
  const reader = new SnapshotReader(file, { kind: Kind.Entries, serializer: core.engine.format })
  for await (const block of reader.blocks()) {
    for (let at = 0; at < block.bytes.length; ) {
      const rest = { ...block, bytes: block.bytes.subarray(at) }
      const read = storeSlice(core, rest, fence, tags, result)
      if (read < 0) {
        reader.onBroken()
        break
      }
      at += read
      if (pace.isOver) await pace.next()
      signal?.throwIfAborted()
    }
  }
  result.state = reader.state
  result.reason = reader.reason
  return result
}

/** Stores the first records of a block; returns the bytes that they take, or -1 where there is none. */
function storeSlice<V>(
  core: CacheCore<V>,
  { bytes, written }: Block,
  fence: number,
  tags: LoadOptions['tags'],
  result: LoadResult,
): number {
  const { engine, settings } = core
  // A clock that was put back makes nothing live longer.
  const age = Math.max(0, core.timeOfDay() - written)
  const room = engine.bytes() < settings.maxSize ? Math.max(0, settings.max - engine.size()) : 0
  core.onWrite()
  const restored = engine.fromRecords(bytes, age, fence, Math.min(room, SLICE), SLICE)
  if (tags !== undefined && restored.tagged > 0)
    storeTagged(core, bytes, age, fence, tags, room - restored.stored, result)
  else result.tagged += restored.tagged
  count(restored, result)
  return restored.read
}

function count(restored: Restored, result: LoadResult): void {
  result.loaded += restored.stored
  result.present += restored.present
  result.expired += restored.expired
  result.overtaken += restored.fenced
  result.noRoom += restored.noRoom + restored.tooLarge
}

const COUNTED: Record<number, 'loaded' | 'present' | 'expired' | 'overtaken'> = {
  [Outcome.Stored]: 'loaded',
  [Outcome.Present]: 'present',
  [Outcome.Expired]: 'expired',
  [Outcome.Fenced]: 'overtaken',
}

/** Stores those of the records that had tags, with the tags that the program gives them. */
function storeTagged<V>(
  core: CacheCore<V>,
  bytes: Buffer,
  age: number,
  fence: number,
  tagsOf: NonNullable<LoadOptions['tags']>,
  room: number,
  result: LoadResult,
): void {
  let [at, left] = [0, room]
  for (let step = 0; step < SLICE && at < bytes.length; step++) {
    const found = readRecord(bytes, at)
    if (found === undefined) return
    at = found.end
    const { record } = found
    if (record.tags === 0) continue
    if (record.left <= age) result.expired++
    else if (left <= 0) result.noRoom++
    else {
      const outcome = storeOne(core, record, age, fence, tagsOf)
      if (outcome === undefined) result.tagged++
      else result[COUNTED[outcome] ?? 'noRoom']++
      if (outcome === Outcome.Stored) left--
    }
  }
}

/** What became of an entry; `undefined` if its tags are not known. */
function storeOne<V>(
  core: CacheCore<V>,
  { key, value, left, tags }: EntryRecord,
  age: number,
  fence: number,
  tagsOf: NonNullable<LoadOptions['tags']>,
): number | undefined {
  const given = checkedTags(tagsOf(key, core.decode(value)))
  // One that is missing would be one by which it is not found.
  if (given.length !== tags) return undefined
  return core.engine.setIfAbsent(key, value, left - age, given, undefined, fence)
}
