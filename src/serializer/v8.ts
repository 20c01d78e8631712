import { describe, notSerializable } from '../common/errors.js'
import type { Stored } from '../engine/stored.js'

/** Loaded with the first value that needs it: most programs never do, and it takes a while. */
function format(): typeof import('node:v8') {
  return require('node:v8')
}

/** V8's structured clone format. Numbers are text, so that they can be counted up in place. */
export const v8 = {
  format: 1,

  encode(value: unknown): Stored {
    if (value === undefined) throw notSerializable('undefined is what a miss returns and cannot be stored')
    if (typeof value === 'number' && Number.isFinite(value) && !Object.is(value, -0)) return String(value)
    try {
      const bytes = format().serialize(value)
      return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    } catch (cause) {
      throw notSerializable(`the v8 serializer cannot hold ${describe(value)}`, cause)
    }
  },

  decode(stored: Stored): unknown {
    return typeof stored === 'string' ? JSON.parse(stored) : format().deserialize(stored)
  },
} as const
