import type { RedisPort, RedisReply } from '../../../src/tier/clients/port.js'
import type { Command, Reply, Server } from './server.js'

export interface Request {
  readonly command: Command
  readonly port: SimulatedPort
  resolve(reply: RedisReply): void
  reject(error: Error): void
  isOver: boolean
  reply: Reply | Error | undefined
  /** Of its execution: when, by the how manieth master, and whether that was no longer the newest. */
  at: number
  incarnation: number
  isSplit: boolean
}

/** A connection of a simulation: what is sent is executed, and answered, when the simulation says so. */
export class SimulatedPort implements RedisPort {
  readonly process: number
  readonly thread: number
  server: Server | undefined
  isOpen = false
  isClosed = false
  /** Until when nothing moves on it. */
  slowUntil = 0
  /** When it is next tried to connect. */
  connectAt = 0
  requests: Request[] = []
  replies: Request[] = []
  #listeners: { open: (() => void)[]; gone: (() => void)[] } = { open: [], gone: [] }
  readonly #onLost: (request: Request) => void

  /** @param onLost Told of requests that may still be executed, at any later time. */
  constructor(process: number, thread: number, onLost: (request: Request) => void) {
    this.process = process
    this.thread = thread
    this.#onLost = onLost
  }

  send(command: Command): Promise<RedisReply> {
    if (!this.isOpen) return Promise.reject(new Error('not connected'))
    return new Promise((resolve, reject) => {
      this.requests.push({
        command,
        port: this,
        resolve,
        reject,
        isOver: false,
        reply: undefined,
        at: 0,
        incarnation: 0,
        isSplit: false,
      })
    })
  }

  on(event: 'open' | 'gone', listener: () => void): void {
    this.#listeners[event].push(listener)
  }

  connect(server: Server): void {
    this.server = server
    this.isOpen = true
    for (const listener of this.#listeners.open) listener()
  }

  /** The end of the connection, as this side sees it. */
  drop(): void {
    if (!this.isOpen) return
    this.isOpen = false
    this.slowUntil = 0
    const lost = [...this.requests, ...this.replies]
    for (const request of this.requests) this.#onLost(request)
    this.requests = []
    this.replies = []
    for (const request of lost) {
      if (request.isOver) continue
      request.isOver = true
      request.reject(new Error('the connection is gone'))
    }
    for (const listener of this.#listeners.gone) listener()
  }

  reset(): void {
    this.drop()
  }

  close(): void {
    this.isClosed = true
    this.drop()
  }

  /** Hands the next reply over. */
  deliver(): Request {
    const request = this.replies.shift() as Request
    if (!request.isOver) {
      request.isOver = true
      if (request.reply instanceof Error) request.reject(request.reply)
      else request.resolve(request.reply as RedisReply)
    }
    return request
  }
}
