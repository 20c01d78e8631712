import { isPlainObject } from './shape.js'

/** Whether freezing an object makes it unchangeable: no `Map`, no `Date`, no bytes. */
function isFreezable(value: object): boolean {
  return isPlainObject(value) || Array.isArray(value)
}

/**
 * Freezes a value and all that it holds, cycles included. Where that would leave something changeable, nothing
 * is frozen.
 *
 * @returns Whether the value cannot be changed any more.
 */
export function freezeDeep(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return true
  const seen: object[] = [value]
  // Values from JSON are trees; only from the v8 serializer can one object be met twice.
  let known: Set<object> | undefined
  for (let at = 0; at < seen.length; at++) {
    const object = seen[at] as object
    if (!isFreezable(object)) return false
    for (const inner of Object.values(object)) {
      if (typeof inner !== 'object' || inner === null) continue
      if (seen.length >= MANY) {
        known ??= new Set(seen)
        if (known.has(inner)) continue
        known.add(inner)
      } else if (seen.includes(inner)) continue
      seen.push(inner)
    }
  }
  for (const object of seen) Object.freeze(object)
  return true
}

/** Objects up to which a look at all of them takes less time than a set. */
const MANY = 16
