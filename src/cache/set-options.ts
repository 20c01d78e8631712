import { describe, outOfRange, wrongType } from '../common/errors.js'
import { defineOptions, duration, type Parse, type Schema } from '../common/options.js'
import { checkFence, checkKey, checkNumber } from '../common/validate.js'
import { tagList } from '../loading/options.js'

/** How one value is stored. */
export interface SetOptions {
  /** Ms to live; `Infinity` for ever; 0 stores nothing and removes what was there. Default: the cache's. */
  ttl?: number | undefined
  /** Until when to live, in ms since the epoch, instead of `ttl`. A time that has passed is a TTL of 0. */
  expiresAt?: number | undefined
  /** Up to 128 names under which {@link Cache.invalidateTag} finds the value. */
  tags?: readonly string[] | undefined
  /** What {@link Cache.fence} of this very cache returned before the value was loaded. */
  fence?: number | undefined
}

/** One value of {@link Cache.setMany}. */
export interface SetEntry<V> extends SetOptions {
  key: string
  value: V
}

/** Checked {@link SetOptions}, with `expiresAt` as a TTL. */
export interface Storing {
  readonly ttl: number | undefined
  readonly fence: number | undefined
  readonly tags: readonly string[] | undefined
}

const time: Parse<number> = (value, name) => {
  checkNumber(value, name, 'a number of ms since the epoch')
  return value
}

/** What `fence()` returned. */
export const fence: Parse<number> = (value) => {
  checkFence(value)
  return value
}

const SET: Schema<SetOptions> = { ttl: duration, expiresAt: time, tags: tagList, fence }

const parseSet = defineOptions<SetOptions>('set', SET)

const parseEntry = defineOptions<SetOptions & { key: string; value: unknown }>('an entry of setMany', {
  ...SET,
  key(value) {
    checkKey(value)
    return value
  },
  value: (value) => value,
})

const DEFAULTS: Storing = { ttl: undefined, fence: undefined, tags: undefined }

function storing({ ttl, expiresAt, tags, fence }: SetOptions, timeOfDay: () => number): Storing {
  if (expiresAt === undefined) return { ttl, fence, tags }
  if (ttl !== undefined) throw outOfRange('give ttl or expiresAt, not both')
  return { ttl: Math.max(0, expiresAt - timeOfDay()), fence, tags }
}

/** Checks the last argument of `set`: ms to live, or options. */
export function parseStoring(options: number | SetOptions | undefined, timeOfDay: () => number): Storing {
  if (options === undefined) return DEFAULTS
  if (typeof options === 'number') return { ttl: duration(options, 'ttl'), fence: undefined, tags: undefined }
  if (typeof options !== 'object' || options === null) {
    throw wrongType(`the options of set must be a number of ms or an object, not ${describe(options)}`)
  }
  return storing(parseSet(options), timeOfDay)
}

/** Checks one of the entries of `setMany`. */
export function parseSetEntry<V>(
  entry: SetEntry<V>,
  timeOfDay: () => number,
): Storing & { key: string; value: V } {
  if (typeof entry !== 'object' || entry === null) {
    throw wrongType(`an entry must be an object, not ${describe(entry)}`)
  }
  const { key, value, ...options } = parseEntry(entry) as SetEntry<V>
  checkKey(key)
  return { key, value, ...storing(options, timeOfDay) }
}
