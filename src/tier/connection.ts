import { startTimer } from '../common/timers.js'
import type { Moment, TierControl } from '../engine/capabilities.js'
import type { RedisPort } from './clients/port.js'
import { deadlines } from './deadlines.js'
import type { RecordClient } from './record-client.js'
import { RecordError } from './record-error.js'

/** There was no reply in time; what was asked may have been done, or be done yet. */
export class RecordTimeout extends RecordError {
  constructor(ms: number) {
    super('unavailable', `Redis did not answer within ${ms} ms`)
  }
}

/** Time-outs in a row after which another connection is opened. */
const MOST_TIMEOUTS = 3
/** Ms between two attempts to attach: at first, and at the most. */
const FIRST_RETRY = 50
const LAST_RETRY = 1_000

export interface ConnectionHost {
  readonly control: TierControl
  /** Ms after which a command says by the way whether the server is still the one that was attached to. */
  readonly checkEvery: number
  /** Ms that attaching may take. */
  readonly attachTimeout: number
  onAttached(): void
  onGone(reason: unknown): void
}

/** A command, which compares the server's identity if it is told to. */
type Command<T> = (client: RecordClient, check: boolean) => Promise<T>

/**
 * One connection to the record. It is used only once it has attached, after each connect, and no reply is believed that
 * is of an epoch left behind.
 */
export class Connection {
  readonly #port: RedisPort
  readonly #client: RecordClient
  readonly #host: ConnectionHost
  #isOpen = false
  #isUsable = false
  #isAttaching = false
  #isClosed = false
  #retries = 0
  #timeouts = 0
  #checkedAt = Number.NEGATIVE_INFINITY
  #retry: NodeJS.Timeout | undefined
  #waiting: (() => void)[] = []
  /** Why it is not usable, where that is known. */
  error: unknown
  /** How long the last command took that was answered, in ms. */
  rttMs = Number.NaN

  constructor(port: RedisPort, client: RecordClient, host: ConnectionHost) {
    this.#port = port
    this.#client = client
    this.#host = host
    port.on('open', () => this.#onOpen())
    port.on('gone', () => this.#onGone(new RecordError('unavailable', 'the connection is gone')))
  }

  /** Whether commands can be sent. */
  get isUsable(): boolean {
    return this.#isUsable
  }

  /** When the last command was sent, by the control's clock, that found the server to be the one attached to. */
  get checkedAt(): number {
    return this.#checkedAt
  }

  /** Resolves when it can be used, or was closed. */
  whenUsable(): Promise<void> {
    if (this.#isUsable || this.#isClosed) return Promise.resolve()
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  /**
   * Sends a command, and waits `ms` ms for its reply.
   *
   * @param sent The time, by the control's clock.
   * @throws `RecordError`
   */
  call<T extends { readonly at: Moment }>(
    ms: number,
    command: Command<T>,
    sent = this.#host.control.time(),
  ): Promise<T> {
    if (!this.#isUsable) return Promise.reject(this.#notUsable())
    const check = sent - this.#checkedAt >= this.#host.checkEvery
    return this.#ask(ms, command(this.#client, check), (reply) => {
      if (check) this.#checkedAt = sent
      if (this.#host.control.saw(...reply.at)) return
      const error = new RecordError('detached', 'the server has an epoch that was left behind')
      this.#lose(error)
      throw error
    })
  }

  /** Sends a command whose reply tells nothing of the record. */
  send<T>(ms: number, command: (client: RecordClient) => Promise<T>): Promise<T> {
    if (!this.#isUsable) return Promise.reject(this.#notUsable())
    return this.#ask(ms, command(this.#client), () => {})
  }

  #notUsable(): RecordError {
    return new RecordError('unavailable', 'not connected to Redis', { cause: this.error })
  }

  /** @param onReply Throws if the reply is not to be believed. */
  #ask<T>(ms: number, work: Promise<T>, onReply: (reply: T) => void): Promise<T> {
    const sent = performance.now()
    return new Promise((resolve, reject) => {
      let isOver = false
      const fail = (error: unknown) => {
        if (isOver) return
        isOver = true
        end()
        this.#onFailure(error)
        reject(error)
      }
      const end = deadlines.start(ms, () => fail(new RecordTimeout(ms)))
      work.then((reply) => {
        if (isOver) return
        isOver = true
        end()
        this.rttMs = performance.now() - sent
        this.#timeouts = 0
        try {
          onReply(reply)
          resolve(reply)
        } catch (error) {
          reject(error)
        }
      }, fail)
    })
  }

  #onFailure(error: unknown): void {
    if (!(error instanceof RecordError)) return
    if (error instanceof RecordTimeout) {
      if (++this.#timeouts >= MOST_TIMEOUTS) this.#lose(error)
    } else if (error.failure === 'detached') {
      this.#isUsable = false
      this.error = error
      this.#attach()
    }
  }

  /** Gives the connection up for another one. */
  #lose(error: unknown): void {
    this.#timeouts = 0
    this.error = error
    this.#isUsable = false
    if (!this.#isClosed) this.#port.reset()
  }

  #onOpen(): void {
    this.#isOpen = true
    this.#isUsable = false
    this.#timeouts = 0
    this.#attach()
  }

  #onGone(reason: unknown): void {
    const wasOpen = this.#isOpen
    this.#isOpen = false
    this.#isUsable = false
    this.error ??= reason
    if (wasOpen && !this.#isClosed) this.#host.onGone(this.error)
  }

  #attach(): void {
    if (this.#isAttaching || this.#isClosed || !this.#isOpen) return
    clearTimeout(this.#retry)
    this.#isAttaching = true
    this.#tryToAttach().then(
      () => {
        this.#isAttaching = false
        this.#retries = 0
        this.error = undefined
        this.#isUsable = true
        this.#host.onAttached()
        this.#wake()
      },
      (error) => {
        this.#isAttaching = false
        this.error = error
        this.#retryLater(error)
      },
    )
  }

  #tryToAttach(): Promise<void> {
    const { control, attachTimeout } = this.#host
    const sent = control.time()
    return new Promise((resolve, reject) => {
      const end = deadlines.start(attachTimeout, () => reject(new RecordTimeout(attachTimeout)))
      this.#client
        .attach(control.seen())
        .then((at) => {
          if (!control.saw(...at)) {
            throw new RecordError('detached', 'the server has an epoch that was left behind')
          }
          this.#checkedAt = sent
        })
        .then(resolve, reject)
        .finally(end)
    })
  }

  #retryLater(error: unknown): void {
    if (this.#isClosed) return
    const wait = Math.min(LAST_RETRY, FIRST_RETRY * 2 ** Math.min(this.#retries++, 10))
    const isServing =
      error instanceof RecordError && !(error instanceof RecordTimeout) && error.failure !== 'detached'
    this.#retry = startTimer(wait * (0.5 + Math.random() / 2), () => {
      // Another server may be the master by now, or this connection may never answer.
      if (isServing) this.#attach()
      else this.#lose(error)
    })
  }

  #wake(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const wake of waiting) wake()
  }

  close(): void {
    this.#isClosed = true
    this.#isUsable = false
    clearTimeout(this.#retry)
    this.#port.close()
    this.#wake()
  }
}
