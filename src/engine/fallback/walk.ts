import type { RecordSlice, Restored, WalkedKey } from '../capabilities.js'
import { type Engine, Outcome } from '../engine.js'
import { mostBytes, readRecord, writeRecord } from '../records.js'
import type { Entry } from './entries.js'

/** The entries of a slice. */
const BATCH = 256

/** The keys of entries, the last used first, as long as reads are answered. */
export function* walk(
  all: readonly Entry[],
  isAnswered: () => boolean,
): Generator<WalkedKey[], void, undefined> {
  for (let at = 0; at < all.length && isAnswered(); at += BATCH) {
    yield all.slice(at, at + BATCH).map(({ bareKey }, index) => ({ key: bareKey, uses: -at - index }))
  }
}

/** The entries that are still there, as records. */
export function* toRecords(
  all: readonly Entry[],
  engine: Pick<Engine, 'peek' | 'remainingTtl'>,
  max: number,
): Generator<RecordSlice, void, undefined> {
  const most = Math.min(max, all.length)
  for (let at = 0; at < most; at += BATCH) {
    const records = all.slice(at, Math.min(most, at + BATCH)).flatMap(({ bareKey: key, tags }) => {
      const value = engine.peek(key)
      if (value === undefined) return []
      return [{ key, value, left: engine.remainingTtl(key), tags: tags?.length ?? 0 }]
    })
    const bytes = Buffer.allocUnsafe(records.reduce((sum, record) => sum + mostBytes(record), 0))
    const end = records.reduce((end, record) => writeRecord(bytes, end, record), 0)
    if (records.length > 0) yield { count: records.length, bytes: bytes.subarray(0, end) }
  }
}

const COUNTED = {
  [Outcome.Stored]: 'stored',
  [Outcome.Present]: 'present',
  [Outcome.Expired]: 'expired',
  [Outcome.Fenced]: 'fenced',
  [Outcome.TooLarge]: 'tooLarge',
} as const

export function fromRecords(
  engine: Pick<Engine, 'setIfAbsent'>,
  records: Uint8Array,
  age: number,
  fence: number,
  room: number,
  limit: number,
): Restored {
  const bytes = Buffer.from(records.buffer, records.byteOffset, records.byteLength)
  const counts = { read: 0, stored: 0, present: 0, expired: 0, fenced: 0, tooLarge: 0, tagged: 0, noRoom: 0 }
  for (let step = 0; step < limit && counts.read < bytes.length; step++) {
    const found = readRecord(bytes, counts.read)
    if (found === undefined) return { ...counts, read: -1 }
    const { key, value, left, tags } = found.record
    counts.read = found.end
    if (tags > 0) counts.tagged++
    else if (left <= age) counts.expired++
    else if (counts.stored >= room) counts.noRoom++
    else {
      const outcome = engine.setIfAbsent(key, value, left - age, undefined, undefined, fence)
      counts[COUNTED[outcome as keyof typeof COUNTED]]++
    }
  }
  return counts
}
