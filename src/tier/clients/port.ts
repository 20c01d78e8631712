/** A reply of Redis: bulk strings as `Buffer`, integers as `number`, nil as `null`. */
export type RedisReply = Buffer | number | null | string | readonly RedisReply[]

/** One connection to Redis, as the tier uses it. */
export interface RedisPort {
  /**
   * Sends one command. Rejects at once while not connected; never queues, never sends again. An error reply rejects
   * with an `Error` whose message is that of the server.
   */
  send(command: readonly (string | Uint8Array)[]): Promise<RedisReply>
  /** Has `listener` called at each connect before anything else is sent, or when a connection is gone. */
  on(event: 'open' | 'gone', listener: () => void): void
  /** Ends the connection and opens another. */
  reset(): void
  /** Ends the connection for good. */
  close(): void
}

/** What a connection is for: commands that are answered at once, or one that waits for changes. */
export type RedisRole = 'data' | 'follow'

/** Opens one connection. */
export type RedisConnect = (role: RedisRole) => RedisPort
