/** The codes of the errors that this package throws; each is the `code` of the error. */
export type CacheErrorCode =
  | 'ERR_CACHE_CLOSED'
  | 'ERR_CACHE_OPTIONS_CONFLICT'
  | 'ERR_CACHE_CHANGE_PENDING'
  | 'ERR_CACHE_ENGINE_UNAVAILABLE'
  | 'ERR_CACHE_LOAD_TIMEOUT'
  | 'ERR_CACHE_OVERTAKEN'
  | 'ERR_CACHE_OUT_OF_MEMORY'
  | 'ERR_CACHE_PEER_MISSING'
  | 'ERR_CACHE_RECURSIVE_LOAD'
  | 'ERR_POLICY_REVISION'
  | 'ERR_CACHE_INTERNAL'

/**
 * An error of the cache itself. Wrong arguments are a `TypeError` with the code `ERR_INVALID_ARG_TYPE` or a
 * `RangeError` with the code `ERR_OUT_OF_RANGE`, as in Node's own modules; a value that cannot be stored is
 * a `TypeError` with the code `ERR_CACHE_NOT_SERIALIZABLE`, an option that there is not one with
 * `ERR_CACHE_UNKNOWN_OPTION`.
 */
export class CacheError extends Error {
  readonly code: CacheErrorCode

  constructor(code: CacheErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'CacheError'
    this.code = code
  }
}

function coded<E extends Error>(error: E, code: string): E {
  return Object.assign(error, { code })
}

/** A `TypeError` for an argument of the wrong type. */
export function wrongType(message: string, cause?: unknown): TypeError {
  return coded(new TypeError(message, causedBy(cause)), 'ERR_INVALID_ARG_TYPE')
}

/** A `RangeError` for an argument out of its range. */
export function outOfRange(message: string): RangeError {
  return coded(new RangeError(message), 'ERR_OUT_OF_RANGE')
}

/** A `TypeError` for an option that there is not. */
export function unknownOption(message: string): TypeError {
  return coded(new TypeError(message), 'ERR_CACHE_UNKNOWN_OPTION')
}

/** A `TypeError` for a value that the cache's serializer cannot hold. */
export function notSerializable(message: string, cause?: unknown): TypeError {
  return coded(new TypeError(message, causedBy(cause)), 'ERR_CACHE_NOT_SERIALIZABLE')
}

function causedBy(cause: unknown): ErrorOptions | undefined {
  return cause === undefined ? undefined : { cause }
}

/** Whether an error, of whatever realm, is one of ours or of Node's own, which callers tell apart by its code. */
export function isCoded(error: unknown): boolean {
  try {
    return typeof (Object(error) as { code?: unknown }).code === 'string'
  } catch {
    return false
  }
}

/**
 * What `read` makes of what a caller gave. Getters and proxies may throw anything: what has no code becomes an error
 * that has one, with the first as its cause.
 */
export function reading<R>(what: string, read: () => R): R {
  try {
    return read()
  } catch (error) {
    throw unreadable(what, error)
  }
}

/** The error to throw where an object of the caller's was read: our own as it is, any other as its cause. */
export function unreadable(what: string, error: unknown): unknown {
  return isCoded(error) ? error : wrongType(`${what} cannot be read`, error)
}

/** The longest text that a message repeats. */
const LONGEST = 80

/** How a value is named in a message. Never throws, whatever the value is. */
export function describe(value: unknown): string {
  try {
    switch (typeof value) {
      case 'function':
        return 'a function'
      case 'bigint':
        return `${value}n`
      case 'string':
        return value.length <= LONGEST
          ? JSON.stringify(value)
          : `${JSON.stringify(value.slice(0, LONGEST))}… (${value.length} characters)`
      case 'object': {
        if (value === null) return 'null'
        if (Array.isArray(value)) return 'an array'
        const name: unknown = value.constructor?.name
        return typeof name === 'string' && name !== '' ? `an instance of ${name}` : 'an object'
      }
      default:
        return String(value)
    }
  } catch {
    return 'an object that cannot be read'
  }
}
