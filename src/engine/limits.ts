import { describe, outOfRange, wrongType } from '../common/errors.js'
import { checkText } from '../common/validate.js'

/** The entries of a cache for which no bound was given. */
export const DEFAULT_MAX = 10_000

/** The most tags of one entry. */
export const MAX_TAGS = 128

/** The bytes charged for an entry beyond its key and value, the same as in the native engine. */
export const ENTRY_OVERHEAD = 96

/** The most namespaces of one cache, as in the native engine. */
export const MAX_NAMESPACES = 65_535

/** The longest grace in ms, as in the native engine. */
export const MAX_GRACE = 2 ** 32 - 1

/** Throws unless `tags` is an array of no more than `most` strings. */
export function checkTags(tags: unknown, most = MAX_TAGS): asserts tags is readonly string[] {
  if (!Array.isArray(tags)) throw wrongType(`tags must be an array of strings, not ${describe(tags)}`)
  if (tags.length > most) throw outOfRange(`an entry takes at most ${most} tags, not ${tags.length}`)
  for (let at = 0; at < tags.length; at++) checkText(tags[at], 'a tag')
}

/** The strings in the array `tags`, no more than `most`, in an array of our own, as for {@link checkedKeys}. */
export function checkedTags(tags: unknown, most = MAX_TAGS): string[] {
  const copy: unknown = Array.isArray(tags) ? Array.from(tags) : tags
  checkTags(copy, most)
  return copy as string[]
}
