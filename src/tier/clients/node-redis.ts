import { CONNECT_TIMEOUT, type Connection, type ConnectionEvents, withBuffers } from './connection.js'
import type { RedisReply } from './port.js'

type Listener = (...args: never[]) => void

/** What is used of a client of `redis` (node-redis) 5 and 6. */
export interface NodeRedisLike {
  readonly options?: object | undefined
  duplicate(overrides?: object): NodeRedisLike
  connect(): Promise<unknown>
  destroy(): unknown
  unref(): void
  on(event: string, listener: Listener): unknown
  sendCommand(command: readonly (string | Buffer)[], options?: object): Promise<unknown>
}

/** The type of bulk strings, by the byte that they begin with on the wire. */
const BULK = '$'.charCodeAt(0)

const AS_BUFFERS = { typeMapping: { [BULK]: Buffer } }

/** A server's address. */
export interface Address {
  readonly host: string
  readonly port: number
}

/** What a connection of ours is set to, whatever the client is. */
function overrides(client: NodeRedisLike, signal: AbortSignal, address: Address | undefined): object {
  const socket = (client.options as { socket?: object } | undefined)?.socket
  return {
    // A URL would be read again, and win.
    ...(address === undefined ? {} : { url: undefined }),
    RESP: 2,
    disableOfflineQueue: true,
    clientSideCache: undefined,
    emitInvalidate: undefined,
    commandsQueueMaxLength: undefined,
    // A server that is changed unseen would not be attached to.
    maintNotifications: 'disabled',
    disableClientInfo: true,
    keyPrefix: undefined,
    pingInterval: undefined,
    readonly: false,
    commandOptions: { timeout: undefined },
    socket: {
      ...socket,
      ...address,
      connectTimeout: CONNECT_TIMEOUT,
      socketTimeout: undefined,
      reconnectStrategy: false,
      // destroy() does not end a socket that is not connected yet.
      signal,
    },
  }
}

/** Opens a connection of its own to the server of a client, or to one at `address`. */
export function openNodeRedis(
  client: NodeRedisLike,
  { ready, lost }: ConnectionEvents,
  address?: Address,
): Connection {
  const abort = new AbortController()
  const own = client.duplicate(overrides(client, abort.signal, address))
  own.on('error', lost)
  own.on('end', () => lost())
  own.on('ready', ready)
  own.unref()
  own.connect().catch(lost)
  return {
    send: (command) => own.sendCommand(withBuffers(command), AS_BUFFERS) as Promise<RedisReply>,
    destroy: () => {
      try {
        own.destroy()
      } catch {
        // It was not open.
      }
      abort.abort()
    },
  }
}
