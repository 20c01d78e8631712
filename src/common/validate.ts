import { describe, outOfRange, reading, wrongType } from './errors.js'

/** Throws unless `key` is a string. */
export function checkKey(key: unknown): asserts key is string {
  if (typeof key !== 'string') throw wrongType(`the key must be a string, not ${describe(key)}`)
}

/** The items of an array of the caller's, in one of our own: reading one of them may run code of the caller's. */
export function itemsOf<T>(value: readonly T[], what: string): T[] {
  return reading(what, () => {
    if (!Array.isArray(value)) throw wrongType(`${what} must be an array, not ${describe(value)}`)
    return Array.from<T>(value)
  })
}

/** The strings in the array `keys`. */
export function checkedKeys(keys: readonly string[]): string[] {
  const copy = itemsOf(keys, 'the keys')
  for (const key of copy) checkKey(key)
  return copy
}

/** Throws unless `fence` is a number as `fence()` gives it. */
export function checkFence(fence: unknown): asserts fence is number {
  if (typeof fence !== 'number') throw wrongType(`fence must be a number, not ${describe(fence)}`)
  if (!Number.isSafeInteger(fence) || fence < 0) {
    throw outOfRange(`fence must be what fence() of this cache returned, not ${fence}`)
  }
}

/** Throws unless `ttl` is a number of ms of 0 or more, `Infinity` included. */
export function checkTtl(ttl: unknown, name = 'ttl'): asserts ttl is number {
  if (typeof ttl !== 'number') throw wrongType(`${name} must be a number of ms, not ${describe(ttl)}`)
  if (!(ttl >= 0)) throw outOfRange(`${name} must be 0 ms or more, or Infinity, not ${ttl}`)
}

/** Throws unless `value` is a whole number of 1 or more. */
export function checkCount(value: unknown, name: string): asserts value is number {
  if (typeof value !== 'number') throw wrongType(`${name} must be a number, not ${describe(value)}`)
  if (!Number.isSafeInteger(value) || value < 1) {
    throw outOfRange(`${name} must be a whole number of 1 or more, not ${value}`)
  }
}

/** Throws unless `value` is a number. */
export function checkNumber(value: unknown, name: string, what = 'a number'): asserts value is number {
  if (typeof value !== 'number') throw wrongType(`${name} must be ${what}, not ${describe(value)}`)
  if (Number.isNaN(value)) throw outOfRange(`${name} must be ${what}, not NaN`)
}

/** Throws unless `value` is a string with at least one character. */
export function checkText(value: unknown, name: string): asserts value is string {
  if (typeof value !== 'string') throw wrongType(`${name} must be a string, not ${describe(value)}`)
  if (value === '') throw outOfRange(`${name} must not be empty`)
}

/** Throws unless `value` is a function. */
export function checkFunction(value: unknown, name: string): void {
  if (typeof value !== 'function') throw wrongType(`${name} must be a function, not ${describe(value)}`)
}

/** Throws unless `value` is one of `choices`. */
export function checkChoice<T extends string>(
  value: unknown,
  choices: readonly T[],
  name: string,
): asserts value is T {
  if (!choices.includes(value as T)) {
    throw outOfRange(`${name} must be one of ${choices.join(', ')}, not ${describe(value)}`)
  }
}
