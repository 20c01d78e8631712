/** The codes of the errors that this package throws; each is the `code` of the error. */
export type CacheErrorCode =
  | 'ERR_CACHE_CLOSED'
  | 'ERR_CACHE_OPTIONS_CONFLICT'
  | 'ERR_CACHE_ENGINE_UNAVAILABLE'
  | 'ERR_CACHE_LOAD_TIMEOUT'
  | 'ERR_CACHE_OVERTAKEN'
  | 'ERR_CACHE_OUT_OF_MEMORY'
  | 'ERR_POLICY_REVISION'
  | 'ERR_CACHE_INTERNAL'

/**
 * An error of the cache itself. Wrong arguments are a `TypeError` with the code `ERR_INVALID_ARG_TYPE` or a
 * `RangeError` with the code `ERR_OUT_OF_RANGE`, as in Node's own modules; a value that cannot be stored is
 * a `TypeError` with the code `ERR_CACHE_NOT_SERIALIZABLE`.
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
export function wrongType(message: string): TypeError {
  return coded(new TypeError(message), 'ERR_INVALID_ARG_TYPE')
}

/** A `RangeError` for an argument out of its range. */
export function outOfRange(message: string): RangeError {
  return coded(new RangeError(message), 'ERR_OUT_OF_RANGE')
}

/** A `TypeError` for a value that the cache's serializer cannot hold. */
export function notSerializable(message: string, cause?: unknown): TypeError {
  const options = cause === undefined ? undefined : { cause }
  return coded(new TypeError(message, options), 'ERR_CACHE_NOT_SERIALIZABLE')
}

/** How a value is named in a message. */
export function describe(value: unknown): string {
  if (value === null) return 'null'
  if (typeof value === 'function') return 'a function'
  if (typeof value === 'object') return `an instance of ${value.constructor?.name ?? 'Object'}`
  return typeof value === 'string' ? JSON.stringify(value) : String(value)
}
