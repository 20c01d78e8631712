import { describe, outOfRange, reading, unknownOption, wrongType } from './errors.js'
import { checkChoice, checkCount, checkFunction, checkNumber, checkText, checkTtl } from './validate.js'

/** Checks the value of an option, and returns it as it is used: what could change later is copied. */
export type Parse<T> = (value: unknown, name: string) => T

/** How each option of a kind is checked. */
export type Schema<T> = { readonly [K in keyof T]-?: Parse<Exclude<T[K], undefined>> }

/** Names that users of other caches try, and what is meant here. */
const ALIASES: Readonly<Record<string, string>> = {
  maxAge: 'ttl',
  stdTTL: 'ttl',
  ttlMs: 'ttl',
  expires: 'expiresAt',
  maxKeys: 'max',
  maxEntries: 'max',
  maxsize: 'maxSize',
  fresh: 'freshness',
  grace: 'staleIfError',
  swr: 'staleWhileRevalidate',
  forceFresh: 'forceRefresh',
}

/**
 * A function that checks options of one kind: reads each once, refuses names that are not in `schema` with the nearest
 * one that is, and returns what was given as an object of its own. An option that is `undefined` is one left out.
 *
 * @param what How messages name the options, such as `Cache`.
 * @param path What messages put before the name of an option, such as `near.`.
 */
export function defineOptions<T extends object>(
  what: string,
  schema: Schema<T>,
  path = '',
): (options: unknown) => T {
  const names = Object.keys(schema) as (keyof T & string)[]
  const known = new Set<string>(names)
  return (options) =>
    reading(`the options of ${what}`, () => {
      if (typeof options !== 'object' || options === null || Array.isArray(options)) {
        throw wrongType(`the options of ${what} must be an object, not ${describe(options)}`)
      }
      for (const name of Object.keys(options)) {
        if (!known.has(name)) throw unknownOption(unknown(what, name, names))
      }
      const read: Partial<T> = {}
      for (const name of names) {
        const value = (options as T)[name]
        if (value !== undefined) read[name] = schema[name](value, path + name)
      }
      return read as T
    })
}

function unknown(what: string, name: string, names: readonly string[]): string {
  const nearest = suggestion(name, names)
  const advice = nearest === undefined ? `; there are ${names.join(', ')}` : `; did you mean ${nearest}?`
  return `${what} has no option ${describe(name)}${advice}`
}

/** Characters up to which a name is compared with others. */
const LONGEST_NAME = 40

/** The one of `names` that was probably meant by `name`. */
export function suggestion(name: string, names: readonly string[]): string | undefined {
  // A long one is no slip, and its comparison would take as long.
  if (name.length > LONGEST_NAME) return undefined
  const alias = ALIASES[name]
  if (alias !== undefined && names.includes(alias)) return alias
  const given = name.toLowerCase()
  let nearest: string | undefined
  let least = Math.max(2, Math.floor(name.length / 3)) + 1
  for (const each of names) {
    const candidate = each.toLowerCase()
    const isPart = given.length >= 3 && (candidate.startsWith(given) || given.startsWith(candidate))
    const far = Math.min(distance(given, candidate), isPart ? 1.5 : Infinity)
    if (far < least) {
      least = far
      nearest = each
    }
  }
  return nearest
}

/** How many characters must be put in, left out or exchanged to make one text the other (V. Levenshtein, 1966). */
function distance(a: string, b: string): number {
  let above = Array.from({ length: b.length + 1 }, (_, at) => at)
  for (let row = 1; row <= a.length; row++) {
    const line = [row]
    for (let at = 1; at <= b.length; at++) {
      const exchanged = (above[at - 1] as number) + (a[row - 1] === b[at - 1] ? 0 : 1)
      line.push(Math.min(exchanged, (above[at] as number) + 1, (line[at - 1] as number) + 1))
    }
    above = line
  }
  return above[b.length] as number
}

/** Ms of 0 or more, or `Infinity`. */
export const duration: Parse<number> = (value, name) => {
  checkTtl(value, name)
  return value
}

/** Ms of more than 0, or `Infinity`. */
export const lifetime: Parse<number> = (value, name) => {
  checkTtl(value, name)
  if (value === 0) throw outOfRange(`${name} must be more than 0 ms`)
  return value
}

/** A whole number of 1 or more. */
export const count: Parse<number> = (value, name) => {
  checkCount(value, name)
  return value
}

/** A whole number of 1 or more, or `Infinity`. */
export const limit: Parse<number> = (value, name) => {
  if (value !== Infinity) checkCount(value, name)
  return value as number
}

/** A number from 0 to 1. */
export const part: Parse<number> = (value, name) => {
  checkNumber(value, name, 'a number from 0 to 1')
  if (!(value >= 0 && value <= 1)) throw outOfRange(`${name} must be from 0 to 1, not ${value}`)
  return value
}

/** A text of at least one character, which has no half of a character. */
export const name: Parse<string> = (value, name) => {
  checkText(value, name)
  if (/\p{Surrogate}/u.test(value)) {
    throw outOfRange(`${name} must not hold a lone surrogate, which is no character: ${describe(value)}`)
  }
  return value
}

/** `true` or `false`. */
export const flag: Parse<boolean> = (value, name) => {
  if (typeof value !== 'boolean') throw wrongType(`${name} must be true or false, not ${describe(value)}`)
  return value
}

/** An `AbortSignal`. */
export const abortSignal: Parse<AbortSignal> = (value, name) => {
  const signal = value as AbortSignal | null
  if (typeof signal !== 'object' || typeof signal?.throwIfAborted !== 'function') {
    const isController = typeof (value as { abort?: unknown } | null)?.abort === 'function'
    const advice = isController ? '; give the signal of the controller' : ''
    throw wrongType(`${name} must be an AbortSignal, not ${describe(value)}${advice}`)
  }
  return signal
}

/** One of `choices`. */
export function choice<T extends string>(...choices: readonly T[]): Parse<T> {
  return (value, name) => {
    checkChoice(value, choices, name)
    return value
  }
}

/** A function. */
export function callable<F extends (...args: never[]) => unknown>(value: unknown, name: string): F {
  checkFunction(value, name)
  return value as F
}

/** An object that the caller is told something by, or `undefined`: used as it is. */
export function target<T extends object>(value: unknown, name: string): T {
  if (typeof value !== 'object' || value === null) {
    throw wrongType(`${name} must be an object, not ${describe(value)}`)
  }
  return value as T
}
