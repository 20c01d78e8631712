import { Cache } from '../cache/cache.js'
import { describe } from '../common/errors.js'
import { internals } from '../common/internals.js'
import type { Decision } from '../policy/decision.js'
import { PolicyCache } from '../policy/policy-cache.js'
import { loadEntries, writeEntries } from './entries.js'
import { checkFile, NewFile, notACache } from './file.js'
import { Kind } from './format.js'
import {
  type AskOptions,
  type DumpOptions,
  type DumpResult,
  type LoadOptions,
  type LoadResult,
  parseAsk,
  parseDump,
  parseLoad,
} from './options.js'
import { askQuestions, writeQuestions } from './questions.js'
import { SnapshotWriter } from './writer.js'

export type { AskOptions, DumpOptions, DumpResult, LoadOptions, LoadResult } from './options.js'
export type { SnapshotState } from './reader.js'

/**
 * Writes what a cache holds into `file`, which is replaced as a whole or stays as it is: of a `Cache` its entries, of a
 * `PolicyCache` its questions, the hottest first, and no decision. The event loop is held for a few ms at a time. The
 * file can be read by its owner alone. What changes meanwhile may be in it or not.
 *
 * @throws `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE` for wrong arguments, and where `file` is a link or a folder;
 * `ERR_CACHE_CLOSED`; what the system says.
 */
export async function dump<V>(cache: Cache<V>, file: string, options?: DumpOptions): Promise<DumpResult>
export async function dump<D extends Decision>(
  cache: PolicyCache<D>,
  file: string,
  options?: DumpOptions,
): Promise<DumpResult>
export async function dump(
  cache: Cache | PolicyCache,
  file: string,
  options: DumpOptions = {},
): Promise<DumpResult> {
  const start = performance.now()
  const parsed = parseDump(options)
  const isPolicy = cache instanceof PolicyCache
  if (!isPolicy && !(cache instanceof Cache)) throw notACache(describe(cache))
  checkFile(file)
  parsed.signal?.throwIfAborted()
  const core = cache[internals]
  // Before there is a file: a closed cache has nothing to tell.
  core.engine.size()
  const target = await NewFile.create(file)
  const kind = isPolicy ? Kind.Questions : Kind.Entries
  const writer = new SnapshotWriter(target, kind, core.engine.format, core.timeOfDay)
  let skipped = 0
  try {
    if (isPolicy) skipped = await writeQuestions(cache[internals], writer, parsed)
    else await writeEntries(cache[internals], writer, parsed)
    await writer.end()
    parsed.signal?.throwIfAborted()
    await target.keep()
  } catch (error) {
    await writer.settle()
    await target.discard()
    throw error
  }
  return { written: writer.records, skipped, bytes: writer.bytes, durationMs: performance.now() - start }
}

/**
 * Loads what {@link dump} wrote: into a `Cache` the entries that it has no value for, with what remains of their TTLs by
 * the time of day; for a `PolicyCache` it asks the questions again, a few at a time, and believes no decision from
 * before. What is invalidated from the call on is not brought back. A file that is missing, damaged or not its own is no
 * error: the result says what it was.
 *
 * @throws `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, `ERR_CACHE_UNKNOWN_OPTION` for wrong arguments;
 * `ERR_CACHE_CLOSED`; what the system says of a file that cannot be read.
 */
export async function load<V>(cache: Cache<V>, file: string, options?: LoadOptions): Promise<LoadResult>
export async function load<D extends Decision>(
  cache: PolicyCache<D>,
  file: string,
  options?: AskOptions<D>,
): Promise<LoadResult>
export async function load(
  cache: Cache | PolicyCache,
  file: string,
  options: LoadOptions | AskOptions<Decision> = {},
): Promise<LoadResult> {
  const start = performance.now()
  let run: () => Promise<LoadResult>
  if (cache instanceof PolicyCache) {
    const asking = parseAsk(options) as AskOptions<Decision>
    run = () => askQuestions(cache, file, asking)
  } else if (cache instanceof Cache) {
    const loading = parseLoad(options)
    run = () => loadEntries(cache[internals], file, loading)
  } else throw notACache(describe(cache))
  checkFile(file)
  options.signal?.throwIfAborted()
  const result = await run()
  result.durationMs = performance.now() - start
  return result
}
