import { describe, wrongType } from '../../common/errors.js'
import {
  findBySentinel,
  findInIoRedisCluster,
  findInNodeRedisCluster,
  type IoRedisCluster,
  type NodeRedisCluster,
  type NodeRedisSentinel,
} from './cluster.js'
import type { OpenConnection } from './connection.js'
import { type IoRedisLike, openIoRedis } from './ioredis.js'
import { type NodeRedisLike, openNodeRedis } from './node-redis.js'
import type { RedisConnect } from './port.js'
import { ReconnectingPort } from './reconnecting.js'
import { slotOf } from './slots.js'

/**
 * A client that connections can be opened by: one of `redis` 5 or 6, `ioredis` 5 or 6, or `iovalkey`, their clients of
 * clusters and of Sentinel included. What it has to have is checked when it is given.
 */
export type RedisClient =
  | { sendCommand(...args: never[]): Promise<unknown>; connect(): Promise<unknown> }
  | { callBuffer(...args: never[]): unknown; connect(): Promise<unknown> }

type Find = () => OpenConnection | Promise<OpenConnection>

/** The methods that are looked for: a client of another version or copy of its module is one as well. */
const IOREDIS = ['callBuffer', 'duplicate', 'connect', 'disconnect', 'on'] as const
const NODE_REDIS = [
  'sendCommand',
  'duplicate',
  'connect',
  'destroy',
  'unref',
  'on',
  'withTypeMapping',
] as const

function has(client: object, method: string): boolean {
  return typeof (client as Record<string, unknown>)[method] === 'function'
}

/**
 * How to open connections to the server of `redis`: a client of `redis`, `ioredis` or `iovalkey`, their clusters
 * included, or a function that opens a port. Clients are copied, never used.
 *
 * @param slotKey A key of the namespace: all of its keys are in the same slot of a cluster.
 * @throws A `TypeError` with the code `ERR_INVALID_ARG_TYPE` that says what is missing.
 */
export function portsOf(redis: unknown, slotKey: string, name = 'redis'): RedisConnect {
  if (typeof redis === 'function') return redis as RedisConnect
  if (typeof redis !== 'object' || redis === null) {
    throw wrongType(
      `${name} must be a client of redis, ioredis or iovalkey, or a function, not ${describe(redis)}`,
    )
  }
  const slot = slotOf(slotKey)
  if ((redis as { isCluster?: unknown }).isCluster === true && has(redis, 'nodes')) {
    return reconnecting(() => findInIoRedisCluster(redis as IoRedisCluster, slot), true)
  }
  if (has(redis, 'nodeClient') && Array.isArray((redis as { masters?: unknown }).masters)) {
    return reconnecting(() => findInNodeRedisCluster(redis as NodeRedisCluster, slot), true)
  }
  if (has(redis, 'getSentinelNode') && has(redis, '_execute')) {
    return reconnecting(() => findBySentinel(redis as NodeRedisSentinel))
  }
  if (has(redis, 'callBuffer') || has(redis, 'call')) {
    checkMethods(redis, IOREDIS, 'ioredis 5 or 6 or iovalkey', name)
    return reconnecting(() => (events) => openIoRedis(redis as IoRedisLike, events))
  }
  checkMethods(
    redis,
    NODE_REDIS,
    has(redis, 'sendCommand') ? 'redis 5 or 6' : 'redis, ioredis or iovalkey',
    name,
  )
  return reconnecting(() => (events) => openNodeRedis(redis as NodeRedisLike, events))
}

function reconnecting(find: Find, isCluster = false): RedisConnect {
  return () => new ReconnectingPort(find, isCluster)
}

function checkMethods(client: object, methods: readonly string[], what: string, name: string): void {
  const missing = methods.filter((method) => !has(client, method))
  if (missing.length === 0) return
  throw wrongType(
    `${name} must be a client of ${what}: ${describe(client)} has no ${missing.map((method) => `${method}()`).join(', ')}`,
  )
}
