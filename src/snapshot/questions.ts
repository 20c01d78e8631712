import type { CacheCore } from '../cache/core.js'
import { wrongType } from '../common/errors.js'
import { evaluation, internals } from '../common/internals.js'
import type { RecordSlice } from '../engine/capabilities.js'
import { mostBytes, readRecord, writeRecord } from '../engine/records.js'
import type { LoadStatus } from '../loading/options.js'
import type { Decision } from '../policy/decision.js'
import type { PolicyCache } from '../policy/policy-cache.js'
import type { PolicyQuery } from '../policy/query.js'
import { Kind } from './format.js'
import { Hottest } from './hottest.js'
import { type AskOptions, type DumpOptions, type LoadResult, noResult } from './options.js'
import { Pace } from './pace.js'
import { queryOf, questionOf } from './question.js'
import { SnapshotReader } from './reader.js'
import type { SnapshotWriter } from './writer.js'

/** Evaluations that are under way at a time. */
const CONCURRENCY = 8

/** The most of them. */
const MOST = 1_024

/** Questions between two looks at the time. */
const STEPS = 32

/** Writes the questions of the decisions that are held, the hottest first; says how many could not be told. */
export async function writeQuestions<D>(
  core: CacheCore<D>,
  writer: SnapshotWriter,
  { max = Infinity, signal }: DumpOptions,
): Promise<number> {
  // What threads read of their own copies counts, too.
  core.flush()
  const pace = new Pace()
  const hottest = new Hottest<{ key: string; uses: number }>()
  for (const slice of core.engine.walk()) {
    for (const { key, uses } of slice) hottest.add({ key, uses })
    if (pace.isOver) await pace.next()
    signal?.throwIfAborted()
  }
  let skipped = 0
  let step = 0
  for (const { key } of await hottest.all(pace)) {
    if (writer.records >= max) break
    const question = questionOf(key)
    if (question === undefined) skipped++
    else {
      const full = writer.add(asRecord(question))
      if (full !== undefined) await full
    }
    step++
    if (step % STEPS !== 0 || !pace.isOver) continue
    await pace.next()
    signal?.throwIfAborted()
  }
  return skipped
}

function asRecord(question: string): RecordSlice {
  const record = { key: question, value: '', left: Infinity, tags: 0 }
  const bytes = Buffer.allocUnsafe(mostBytes(record))
  return { count: 1, bytes: bytes.subarray(0, writeRecord(bytes, 0, record)) }
}

/** Asks the questions of a snapshot anew, in their order. */
export async function askQuestions<D extends Decision>(
  decisions: PolicyCache<D>,
  file: string,
  { concurrency = CONCURRENCY, evaluate = decisions[evaluation].evaluate, signal }: AskOptions<D>,
): Promise<LoadResult> {
  if (evaluate === undefined) {
    throw wrongType('evaluate must be a function, in the options of the cache or here')
  }
  const { engine } = decisions[internals]
  // A closed cache has no use for answers.
  engine.size()
  const result = noResult()
  const reader = new SnapshotReader(file, { kind: Kind.Questions, serializer: undefined })
  const questions = queriesOf(reader, result, signal)
  const work = async () => {
    for (let next = await questions.next(); next.done !== true; next = await questions.next()) {
      const status: LoadStatus = {}
      try {
        await decisions.decide(next.value, { evaluate, signal, status })
        result[status.source === 'hit' ? 'present' : 'loaded']++
      } catch {
        // A cache that was closed is no failure of an evaluation.
        engine.size()
        signal?.throwIfAborted()
        result.failed++
      }
    }
  }
  // One that throws ends the questions for the others; all have ended before the file is let go of.
  const ends = await Promise.allSettled(
    Array.from({ length: Math.min(concurrency, MOST) }, () => work().finally(() => questions.return())),
  )
  for (const end of ends) if (end.status === 'rejected') throw end.reason
  result.state = reader.state
  result.reason = reader.reason
  return result
}

async function* queriesOf(
  reader: SnapshotReader,
  result: LoadResult,
  signal: AbortSignal | undefined,
): AsyncGenerator<PolicyQuery, void, undefined> {
  const pace = new Pace()
  for await (const { bytes } of reader.blocks()) {
    for (let at = 0; at < bytes.length; ) {
      signal?.throwIfAborted()
      const found = readRecord(bytes, at)
      if (found === undefined) {
        reader.onBroken()
        break
      }
      at = found.end
      let query: PolicyQuery
      try {
        query = queryOf(found.record.key)
      } catch {
        result.failed++
        continue
      }
      if (pace.isOver) await pace.next()
      yield query
    }
  }
}
