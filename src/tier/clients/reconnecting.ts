import { startTimer } from '../../common/timers.js'
import { CONNECT_TIMEOUT, type Connection, type OpenConnection } from './connection.js'
import type { RedisPort, RedisReply } from './port.js'

/** The ms between two attempts: the first, which doubles, and the longest. */
const FIRST_DELAY = 50
const LONGEST_DELAY = 2000

/** The ms for all that comes before a connection is ready: finding the server, connecting, logging in. */
const READY_TIMEOUT = 2 * CONNECT_TIMEOUT

/** The ms for which a connection must have been open before the next attempt counts as a first one. */
const STEADY = 2000

/** Errors after which another server has the namespace, in a cluster. */
const MOVED = /^-?(MOVED|ASK|CLUSTERDOWN)\b/

/** A port that opens a new connection whenever the last one is gone. It keeps no process alive. */
export class ReconnectingPort implements RedisPort {
  readonly #find: () => OpenConnection | Promise<OpenConnection>
  readonly #isCluster: boolean
  readonly #listeners = { open: [] as (() => void)[], gone: [] as (() => void)[] }
  #connection: Connection | undefined
  /** The number of the attempt: what is told of an earlier one does not count. */
  #attempt = 0
  #isOpen = false
  #openedAt = 0
  #isClosed = false
  #failures = 0
  #timer: NodeJS.Timeout | undefined
  /** Why the last connection was lost, or never came to be. */
  #why: unknown

  constructor(find: () => OpenConnection | Promise<OpenConnection>, isCluster = false) {
    this.#find = find
    this.#isCluster = isCluster
    this.#connect()
  }

  send(command: readonly (string | Uint8Array)[]): Promise<RedisReply> {
    const connection = this.#connection
    if (!this.#isOpen || connection === undefined) {
      return Promise.reject(this.#notOpen())
    }
    return this.#isCluster ? this.#sendThere(connection, command) : connection.send(command)
  }

  on(event: 'open' | 'gone', listener: () => void): void {
    this.#listeners[event].push(listener)
  }

  reset(): void {
    // One that is under way is a new one already.
    if (this.#isOpen) this.#lose()
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    clearTimeout(this.#timer)
    this.#end()
  }

  #notOpen(): Error {
    if (this.#isClosed) return new Error('the connection to Redis is closed')
    const why = this.#why
    // Not as its cause: errors of ioredis hold the password that was refused.
    const cause = why instanceof Error ? `: ${why.message}` : ''
    return new Error(`the connection to Redis is not open${cause}`)
  }

  async #sendThere(connection: Connection, command: readonly (string | Uint8Array)[]): Promise<RedisReply> {
    try {
      return await connection.send(command)
    } catch (error) {
      if (connection === this.#connection && error instanceof Error && MOVED.test(error.message)) this.reset()
      throw error
    }
  }

  #connect(): void {
    const attempt = ++this.#attempt
    const isCurrent = () => attempt === this.#attempt
    const lost = (why?: unknown) => {
      if (!isCurrent()) return
      this.#why = why ?? new Error('the connection was ended')
      this.#lose()
    }
    this.#timer = startTimer(READY_TIMEOUT, () => lost(new Error('the server did not answer in time')))
    const open = (openConnection: OpenConnection) => {
      if (!isCurrent()) return
      this.#connection = openConnection({
        ready: () => {
          if (isCurrent() && !this.#isOpen) this.#ready()
        },
        lost,
      })
    }
    // What fails at once is told later: nobody listens yet.
    try {
      const found = this.#find()
      if (typeof found === 'function') open(found)
      else found.then(open).catch(lost)
    } catch (error) {
      queueMicrotask(() => lost(error))
    }
  }

  #ready(): void {
    clearTimeout(this.#timer)
    this.#isOpen = true
    this.#why = undefined
    this.#openedAt = performance.now()
    for (const listener of this.#listeners.open) listener()
  }

  /** Gives the connection up, and opens another after a while. */
  #lose(): void {
    clearTimeout(this.#timer)
    if (this.#isOpen && performance.now() - this.#openedAt >= STEADY) this.#failures = 0
    const delay = Math.min(FIRST_DELAY * 2 ** this.#failures++, LONGEST_DELAY)
    // Not all processes at the same moment.
    this.#timer = startTimer(delay * (0.5 + Math.random() / 2), () => this.#connect())
    this.#end()
  }

  #end(): void {
    const wasOpen = this.#isOpen
    const connection = this.#connection
    this.#isOpen = false
    this.#connection = undefined
    this.#attempt++
    connection?.destroy()
    if (wasOpen) for (const listener of this.#listeners.gone) listener()
  }
}
