import { describe, outOfRange, wrongType } from './errors.js'

/** Throws unless `key` is a string. */
export function checkKey(key: unknown): asserts key is string {
  if (typeof key !== 'string') throw wrongType(`the key must be a string, not ${describe(key)}`)
}

/**
 * The strings in the array `keys`, in an array of our own: reading one of the caller's may run code of the
 * caller's.
 */
export function checkedKeys(keys: unknown): string[] {
  if (!Array.isArray(keys)) throw wrongType(`the keys must be an array, not ${describe(keys)}`)
  const copy = Array.from(keys)
  for (const key of copy) checkKey(key)
  return copy
}

/** Throws unless `options` is an object. */
export function checkOptions(options: unknown): asserts options is object {
  if (typeof options !== 'object' || options === null) {
    throw wrongType(`the options must be an object, not ${describe(options)}`)
  }
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

/** Throws unless `near` is an object of counts. */
export function checkNear(near: unknown): void {
  if (typeof near !== 'object' || near === null) {
    throw wrongType(`near must be false or an object, not ${describe(near)}`)
  }
  const { max, maxSize, clock } = near as { max?: unknown; maxSize?: unknown; clock?: unknown }
  if (max !== undefined) checkCount(max, 'near.max')
  if (maxSize !== undefined) checkCount(maxSize, 'near.maxSize')
  if (clock !== undefined) checkChoice(clock as string, ['shared', 'exact'], 'near.clock')
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
