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

/** How deep a value may be that is frozen without a list of what was met. */
const DEEP = 64

/** Freezes what `JSON.parse` made: a tree of plain objects and arrays. Always true. */
export function freezeParsed(value: unknown): true {
  if (typeof value === 'object' && value !== null) freezeTree(value, 0)
  return true
}

function freezeTree(value: object, depth: number): void {
  if (depth === DEEP) {
    freezeDeep(value)
    return
  }
  if (Array.isArray(value)) {
    for (const item of value) if (typeof item === 'object' && item !== null) freezeTree(item, depth + 1)
  } else {
    for (const member of Object.values(value)) {
      if (typeof member === 'object' && member !== null) freezeTree(member, depth + 1)
    }
  }
  Object.freeze(value)
}

/** Objects up to which a look at all of them takes less time than a set. */
const MANY = 16
