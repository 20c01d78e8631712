import { outOfRange } from '../common/errors.js'
import { checkText, itemsOf } from '../common/validate.js'

/** The entries of a cache for which no bound was given. */
export const DEFAULT_MAX = 10_000

/** The most tags of one entry. */
export const MAX_TAGS = 128

/** The bytes charged for an entry beyond its key and value, the same as in the native engine. */
export const ENTRY_OVERHEAD = 96

/** The most namespaces of one cache, as in the native engine. */
export const MAX_NAMESPACES = 65_535

/** The longest TTL in ms that entries keep, about 278 years; a longer one is for ever. */
export const MAX_TTL = 2 ** 43 - 1

/** The longest TTL in ms that entries of a tiered cache keep, 30 days; a longer one is this one. Copies have a limit so. */
export const MAX_TIERED_TTL = 30 * 24 * 3_600_000

/** The longest grace in ms, as in the native engine. */
export const MAX_GRACE = 2 ** 32 - 1

/** The strings in the array `tags`, no more than `most`. */
export function checkedTags(tags: unknown, most = MAX_TAGS, name = 'tags'): string[] {
  const copy = itemsOf(tags as readonly unknown[], name)
  if (copy.length > most) throw outOfRange(`an entry takes at most ${most} tags, not ${copy.length}`)
  for (const tag of copy) checkText(tag, 'a tag')
  return copy as string[]
}
