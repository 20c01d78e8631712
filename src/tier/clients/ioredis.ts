import { CONNECT_TIMEOUT, type Connection, type ConnectionEvents, withBuffers } from './connection.js'
import type { Address } from './node-redis.js'
import type { RedisReply } from './port.js'

type Listener = (...args: never[]) => void

/** What is used of a client of `ioredis` 5 and 6 or of `iovalkey`. */
export interface IoRedisLike {
  duplicate(overrides?: object): IoRedisLike
  connect(): Promise<unknown>
  disconnect(reconnect?: boolean): void
  on(event: string, listener: Listener): unknown
  callBuffer(command: string, ...args: (string | Buffer)[]): Promise<unknown>
  /** The socket, once there is one. */
  readonly stream?:
    | { unref?(): unknown; destroy?(): unknown; cork?(): unknown; uncork?(): unknown }
    | null
    | undefined
}

/** What a connection of ours is set to, whatever the client is. */
const OVERRIDES = {
  lazyConnect: true,
  enableOfflineQueue: false,
  maxRetriesPerRequest: 0,
  autoResendUnfulfilledCommands: false,
  autoResubscribe: false,
  enableAutoPipelining: false,
  enableReadyCheck: false,
  disableClientInfo: true,
  connectTimeout: CONNECT_TIMEOUT,
  // Its timer would keep the process alive.
  disconnectTimeout: 0,
  commandTimeout: undefined,
  socketTimeout: undefined,
  blockingTimeout: undefined,
  retryStrategy: null,
  reconnectOnError: null,
  sentinelRetryStrategy: () => null,
  failoverDetector: false,
  role: 'master',
  readOnly: false,
  keyPrefix: '',
  stringNumbers: false,
  protocol: 2,
  himportFieldsets: undefined,
  scripts: undefined,
  monitor: false,
}

/** Opens a connection of its own to the server of a client, or to one at `address`. */
export function openIoRedis(
  client: IoRedisLike,
  { ready, lost }: ConnectionEvents,
  address?: Address,
): Connection {
  const own = client.duplicate({
    ...OVERRIDES,
    ...(address === undefined ? {} : { ...address, path: undefined }),
  })
  let isOver = false
  // The socket comes into being in a while, and then connects for a while.
  const release = () => {
    if (isOver) own.stream?.destroy?.()
    else own.stream?.unref?.()
  }
  const end = (why?: unknown) => {
    isOver = true
    lost(why)
  }
  own.on('error', end)
  own.on('close', () => end())
  own.on('end', () => end())
  own.on('connect', release)
  own.on('ready', () => {
    release()
    // It does not wait until it is logged in.
    own.callBuffer('PING').then(ready, end)
  })
  own.connect().catch(end)
  setImmediate(release)
  let isCorked = false
  const uncork = () => {
    isCorked = false
    own.stream?.uncork?.()
  }
  return {
    send: (command) => {
      // What is sent in one turn goes to the socket at once.
      if (!isCorked && own.stream?.cork !== undefined) {
        isCorked = true
        own.stream.cork()
        process.nextTick(uncork)
      }
      const [name, ...args] = withBuffers(command)
      return own.callBuffer(String(name), ...args) as Promise<RedisReply>
    },
    destroy: () => {
      isOver = true
      own.disconnect()
      own.stream?.destroy?.()
    },
  }
}
