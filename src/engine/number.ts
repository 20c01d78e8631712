import { outOfRange, wrongType } from '../common/errors.js'
import type { Stored } from './stored.js'

const JSON_NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/

/** The number whose JSON text is stored; `undefined` if something else is. */
export function parseNumber(stored: Stored): number | undefined {
  return typeof stored === 'string' && JSON_NUMBER.test(stored) ? Number(stored) : undefined
}

/** What `increment` throws where it finds something else than a number. */
export function notANumber(key: string): TypeError {
  return wrongType(`the value under ${JSON.stringify(key)} is not a number`)
}

/** What `increment` throws where the sum would not be finite. */
export function notFinite(key: string): RangeError {
  return outOfRange(`the sum under ${JSON.stringify(key)} is not finite`)
}
