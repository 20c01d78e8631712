import type { RedisReply } from './port.js'

/** One connection, from the first attempt to its end. */
export interface Connection {
  send(command: readonly (string | Uint8Array)[]): Promise<RedisReply>
  /** Ends it at once; what was sent and is not answered rejects. May be called more than once. */
  destroy(): void
}

/** What is told of a connection, never before the call that opens it returned. */
export interface ConnectionEvents {
  /** Commands may be sent. */
  ready(): void
  /** It never will be ready, or is no more; `why`, where that is known. May be told more than once. */
  lost(why?: unknown): void
}

/** Begins to open a connection, which neither waits for others nor tries again. */
export type OpenConnection = (events: ConnectionEvents) => Connection

/** The ms that a server has to accept a connection. */
export const CONNECT_TIMEOUT = 2000

/** `command` as all clients take it. */
export function withBuffers(command: readonly (string | Uint8Array)[]): (string | Buffer)[] {
  return command.map((part) =>
    typeof part === 'string' || Buffer.isBuffer(part)
      ? part
      : Buffer.from(part.buffer, part.byteOffset, part.byteLength),
  )
}
