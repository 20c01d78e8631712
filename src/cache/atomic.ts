import { CacheError, outOfRange } from '../common/errors.js'
import { defineOptions, duration } from '../common/options.js'
import { checkNumber } from '../common/validate.js'
import { Outcome } from '../engine/engine.js'
import type { CacheCore } from './core.js'
import { parseStoring, type SetOptions } from './set-options.js'

/** How {@link Cache.increment} begins to count. */
export interface IncrementOptions {
  /** Ms to live of a counter that this call begins; one that there is keeps its time. Default: the cache's. */
  ttl?: number | undefined
}

const parseIncrement = defineOptions<IncrementOptions>('increment', { ttl: duration })

/** Attempts after which an update gives up that changes its own key, or is overtaken without end. */
const ATTEMPTS = 10_000

export function setIfAbsent<V>(
  core: CacheCore<V>,
  key: string,
  value: V,
  options: number | Omit<SetOptions, 'fence'> | undefined,
): boolean {
  const { ttl, tags, fence } = parseStoring(options, core.timeOfDay)
  if (fence !== undefined)
    throw outOfRange('setIfAbsent takes no fence: a key that is there is left as it is')
  const stored = core.encode(value)
  core.onWrite()
  return core.engine.setIfAbsent(key, stored, ttl, tags) === Outcome.Stored
}

export function increment<V>(
  core: CacheCore<V>,
  key: string,
  by: number,
  options: IncrementOptions | undefined,
): number {
  checkNumber(by, 'by')
  if (!Number.isFinite(by)) throw outOfRange(`by must be a finite number, not ${by}`)
  const ttl = options === undefined ? undefined : parseIncrement(options).ttl
  core.onWrite()
  return core.engine.increment(key, by, ttl)
}

export function update<V>(
  core: CacheCore<V>,
  key: string,
  change: (value: V | undefined) => V | undefined,
  options: number | Omit<SetOptions, 'fence'> | undefined,
): V | undefined {
  const { ttl, tags, fence: given } = parseStoring(options, core.timeOfDay)
  if (given !== undefined) throw outOfRange('update takes a fence of its own')
  const { engine } = core
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const [old, fence] = engine.peekFenced(key)
    const value = change(core.decodeFound(old))
    if (value === undefined) return undefined
    const stored = core.encode(value)
    // The tags of the old value are not those of the new one, and the fence says nothing of them.
    if (old !== undefined && engine.peek(key) === undefined) continue
    if (core.store(key, stored, ttl, fence, tags) !== Outcome.Fenced) return core.decode(stored)
  }
  throw new CacheError(
    'ERR_CACHE_OVERTAKEN',
    `${ATTEMPTS} updates of ${JSON.stringify(key)} in a row were overtaken by other changes of it`,
  )
}
