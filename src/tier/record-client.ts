import { randomInt } from 'node:crypto'
import { outOfRange } from '../common/errors.js'
import type { Moment } from '../engine/capabilities.js'
import type { RedisPort, RedisReply } from './clients/port.js'
import { type EntryKind, keysOf, type RecordKeys } from './names.js'
import type { ChangeReply, FollowReply, RecordReply } from './record.js'
import { recordError } from './record-error.js'
import { eventOf, eventsOf, itemsOf, momentOf, readReply, wholeOf } from './replies.js'
import { ATTACH, CHANGE, FOLLOW, LAND, READ, type Script } from './scripts.js'

/** The names of a generation of the record beyond which it is replaced, and about how many changes the log keeps. */
export interface RecordLimits {
  readonly fields: number
  readonly log: number
}

const LIMITS: RecordLimits = { fields: 32_768, log: 16_384 }

/** Epochs begun at the same time differ by a random number below this. */
const EPOCH_SPREAD = 2 ** 26

type Argument = string | Uint8Array

/** A load lease that a read asks for. */
export interface LeaseRequest {
  /** What tells it from those of others. */
  readonly token: string
  readonly ms: number
}

/**
 * The record of changes of a namespace and the entries that it vouches for, by one connection. Nothing works before
 * {@link attach} did. All methods reject with a `RecordError`, whatever a server answers.
 */
export class RecordClient {
  readonly #port: RedisPort
  readonly #keys: RecordKeys
  readonly #fields: string
  readonly #log: string

  constructor(port: RedisPort, namespace: string, limits: RecordLimits = LIMITS, kind?: EntryKind) {
    this.#port = port
    this.#keys = keysOf(namespace, kind)
    this.#fields = String(limits.fields)
    this.#log = String(limits.log)
  }

  /**
   * Where the record is, which begins a new epoch if it is not the one that `seen` was of.
   *
   * @param onTime Told the server's time of day in ms.
   */
  async attach(seen: Moment, onTime?: (time: number) => void): Promise<Moment> {
    const { newer, older, log } = this.#keys
    const random = String(randomInt(EPOCH_SPREAD))
    const args = [random, String(seen[0]), String(seen[1])]
    return this.#run(ATTACH, [newer, older, log], args, (reply) => {
      const at = momentOf(reply)
      onTime?.(wholeOf(itemsOf(reply, 3)[2]))
      return at
    })
  }

  /**
   * Looks for the entry of a key.
   *
   * @param key Its name on the wire.
   */
  read(
    key: string,
    { check, lease }: { check: boolean; lease?: LeaseRequest | undefined },
  ): Promise<RecordReply> {
    const keys = [this.#keys.entry + key, this.#keys.newer, this.#keys.older]
    const args = [`=${key}`, flagOf(check)]
    if (lease !== undefined) {
      keys.push(this.#keys.lease + key)
      args.push(lease.token, String(wholeMs(lease.ms)))
    }
    const longest = lease === undefined ? Infinity : wholeMs(lease.ms)
    return this.#run(READ, keys, args, (reply) => readReply(reply, longest))
  }

  /**
   * Notes changes, and removes the entries of the keys among them.
   *
   * @param names `=` and the name on the wire of a key, `#` and that of a tag, or `c` for everything.
   * @param compared Names of which the reply tells when the last of them changed before.
   */
  async change(names: readonly string[], compared: readonly string[], check: boolean): Promise<ChangeReply> {
    const { newer, older, log, entry } = this.#keys
    const keys = [newer, older, log]
    for (const name of names) if (name.startsWith('=')) keys.push(entry + name.slice(1))
    const args: Argument[] = [this.#log, this.#fields, flagOf(check), eventOf(names), String(names.length)]
    const reply = itemsOf(await this.#run(CHANGE, keys, [...args, ...names, ...compared], asItIs), 5)
    return {
      at: momentOf(reply),
      removed: wholeOf(reply[2]),
      before: wholeOf(reply[3]),
      time: wholeOf(reply[4]),
    }
  }

  /** The changes after `from`, at most `most` of them. */
  async follow(from: Moment, most: number, check: boolean): Promise<FollowReply> {
    const args = [String(from[0]), String(from[1]), String(most), flagOf(check)]
    const reply = itemsOf(await this.#run(FOLLOW, [this.#keys.newer, this.#keys.log], args, asItIs), 2)
    const at = momentOf(reply)
    const isSame = at[0] === from[0] && at[1] > from[1]
    const batch = isSame && reply[2] !== undefined ? itemsOf(reply[2], 0) : []
    const events = eventsOf(batch, from[1])
    // An event that is missing or cannot be read is a gap, which asking again does not fill.
    const more = batch.length >= most && events.length === batch.length && from[1] + events.length < at[1]
    return { at, events, more }
  }

  /** Stores an entry until `expiresAt`, in ms of the server's time of day. */
  async fill(key: string, envelope: Uint8Array, expiresAt: number): Promise<void> {
    await this.#send(['SET', this.#keys.entry + key, envelope, 'PXAT', deadline(expiresAt)])
  }

  /** Stores what was loaded under a lease, or nothing, and gives the lease back. */
  async land(key: string, token: string, envelope: Uint8Array | undefined, expiresAt: number): Promise<void> {
    const args: Argument[] = envelope === undefined ? [token] : [token, envelope, deadline(expiresAt)]
    await this.#run(LAND, [this.#keys.entry + key, this.#keys.lease + key], args, asItIs)
  }

  /** Takes the lease of a load for `ms` ms; says whether nobody else has it. */
  async claim(key: string, token: string, ms: number): Promise<boolean> {
    const command = ['SET', this.#keys.lease + key, token, 'PX', String(wholeMs(ms)), 'NX']
    return (await this.#send(command)) !== null
  }

  /** What the server does where memory is short, such as `noeviction`; `undefined` if it does not tell. */
  async memoryPolicy(): Promise<string | undefined> {
    const reply = await this.#send(['INFO', 'memory'])
    return /^maxmemory_policy:(\S+)/m.exec(Buffer.isBuffer(reply) ? reply.toString() : '')?.[1]
  }

  /**
   * Waits until there are changes after `after`, `ms` at most. It may end at any time, and a new epoch does not end it:
   * what there is {@link follow} tells.
   */
  async wait(ms: number, after: Moment): Promise<void> {
    const id = `${after[1]}-0`
    await this.#send(['XREAD', 'COUNT', '1', 'BLOCK', String(wholeMs(ms)), 'STREAMS', this.#keys.log, id])
  }

  #run<T>(
    { source, sha }: Script,
    keys: readonly string[],
    args: readonly Argument[],
    parse: (reply: RedisReply) => T,
  ): Promise<T> {
    const rest = [String(keys.length), ...keys, ...args]
    return this.#port.send(['EVALSHA', sha, ...rest]).then(parse, (error) => {
      if (!isUnknownScript(error)) throw recordError(error)
      return this.#send(['EVAL', source, ...rest]).then(parse)
    })
  }

  #send(command: readonly Argument[]): Promise<RedisReply> {
    return this.#port.send(command).catch((error) => {
      throw recordError(error)
    })
  }
}

const asItIs = (reply: RedisReply): RedisReply => reply

function isUnknownScript(error: unknown): boolean {
  return error instanceof Error && /^-?NOSCRIPT\b/.test(error.message)
}

function flagOf(check: boolean): string {
  return check ? '1' : '0'
}

/** The most ms that servers take for a duration, about 285 000 years. */
const LONGEST = Number.MAX_SAFE_INTEGER

function wholeMs(ms: number): number {
  if (Number.isNaN(ms)) throw outOfRange('a duration must be a number of ms, not NaN')
  return Math.min(Math.max(1, Math.ceil(ms)), LONGEST)
}

function deadline(at: number): string {
  if (Number.isNaN(at)) throw outOfRange('a deadline must be a number of ms, not NaN')
  // Too early rather than too late, but no less than servers take.
  return String(Math.min(Math.max(1, Math.floor(at)), LONGEST))
}
