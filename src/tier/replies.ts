import type { Moment } from '../engine/capabilities.js'
import type { RedisReply } from './clients/port.js'
import type { FollowReply, RecordMiss, RecordReply } from './record.js'
import { RecordError } from './record-error.js'

type Items = readonly RedisReply[]

const BUSY = -1
const MISS = -2

const REASONS: readonly unknown[] = ['absent', 'changed', 'unknown'] satisfies RecordMiss['reason'][]

function unexpected(): RecordError {
  return new RecordError('unavailable', 'Redis sent a reply of a shape that the record never has')
}

/** An array of at least `least` items. */
export function itemsOf(reply: RedisReply | undefined, least: number): Items {
  if (!Array.isArray(reply) || reply.length < least) throw unexpected()
  return reply as Items
}

/** A whole number, as an integer or in digits: some clients can be set to give them so. */
function integerOf(reply: RedisReply | undefined): number {
  if (typeof reply === 'number' && Number.isSafeInteger(reply)) return reply
  const text = textOf(reply)
  const number = /^-?\d{1,16}$/.test(text) ? Number(text) : Number.NaN
  if (!Number.isSafeInteger(number)) throw unexpected()
  return number
}

/** A whole number of 0 or more. */
export function wholeOf(reply: RedisReply | undefined): number {
  const number = integerOf(reply)
  if (number < 0) throw unexpected()
  return number
}

function textOf(reply: RedisReply | undefined): string {
  if (typeof reply === 'string') return reply
  return Buffer.isBuffer(reply) ? reply.toString() : ''
}

function bytesOf(reply: RedisReply | undefined): Buffer {
  if (!Buffer.isBuffer(reply)) throw unexpected()
  return reply
}

/** The epoch and the sequence number that a reply begins with. */
export function momentOf(reply: RedisReply): Moment {
  const items = itemsOf(reply, 2)
  return [wholeOf(items[0]), wholeOf(items[1])]
}

/**
 * What `READ` found.
 *
 * @param lease The longest that a lease can last, in ms.
 */
export function readReply(reply: RedisReply, lease: number): RecordReply {
  const items = itemsOf(reply, 4)
  const at = momentOf(items)
  const left = integerOf(items[2])
  if (left === BUSY) return { kind: 'busy', at, left: Math.min(wholeOf(items[3]), lease) }
  if (left === MISS) {
    const reason = textOf(items[3])
    if (!REASONS.includes(reason)) throw unexpected()
    return { kind: 'miss', at, time: wholeOf(items[4]), reason: reason as RecordMiss['reason'] }
  }
  if (left < 0) throw unexpected()
  const [ttl, grace] = [wholeOf(items[3]), wholeOf(items[4])]
  return {
    kind: 'hit',
    at,
    // A server whose clock was set back would let it live longer than it was ever to.
    left: Math.min(left, ttl + grace),
    ttl,
    grace,
    encoding: wholeOf(items[5]),
    payload: bytesOf(items[6]),
    tags: items.slice(7).map((tag) => bytesOf(tag).toString('utf8', 1)),
  }
}

/** Names as one event: each after its length in a byte. */
export function eventOf(names: readonly string[]): Buffer {
  const parts: Buffer[] = []
  for (const name of names) {
    const bytes = Buffer.from(name)
    if (bytes.length === 0 || bytes.length > 255)
      throw new RangeError('a change must be of names on the wire')
    parts.push(Buffer.of(bytes.length), bytes)
  }
  return Buffer.concat(parts)
}

/** The names of an event; `undefined` if nobody can have written it. */
export function namesOf(event: Buffer): string[] | undefined {
  const names: string[] = []
  for (let at = 0; at < event.length; ) {
    const end = at + 1 + (event[at] as number)
    if (end === at + 1 || end > event.length) return undefined
    const name = event.toString('utf8', at + 1, end)
    // A key may be of no characters, a tag may not.
    if (name !== 'c' && name[0] !== '=' && (name[0] !== '#' || name.length < 2)) return undefined
    names.push(name)
    at = end
  }
  return names
}

/** The events of a part of the log, up to the first that is not the one after those before it or cannot be read. */
export function eventsOf(batch: Items, after: number): FollowReply['events'] {
  const events: { sequence: number; names: string[] }[] = []
  for (const item of batch) {
    const sequence = after + events.length + 1
    if (!Array.isArray(item) || textOf(item[0]) !== `${sequence}-0`) break
    const fields: unknown = item[1]
    if (
      !Array.isArray(fields) ||
      fields.length !== 2 ||
      textOf(fields[0]) !== 'e' ||
      !Buffer.isBuffer(fields[1])
    )
      break
    const names = namesOf(fields[1])
    if (names === undefined) break
    events.push({ sequence, names })
  }
  return events
}
