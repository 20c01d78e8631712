import type { OpenConnection } from './connection.js'
import { type IoRedisLike, openIoRedis } from './ioredis.js'
import { type Address, type NodeRedisLike, openNodeRedis } from './node-redis.js'
import { type AddressMap, mapped, masterOf } from './slots.js'

/** What is used of a cluster client of `redis` (node-redis) 5 and 6. */
export interface NodeRedisCluster {
  readonly masters: readonly unknown[]
  nodeClient(node: unknown): NodeRedisLike | Promise<NodeRedisLike>
  readonly _options?: { readonly nodeAddressMap?: AddressMap } | undefined
}

/** What is used of a cluster client of `ioredis` 5 and 6 or of `iovalkey`. */
export interface IoRedisCluster {
  readonly isCluster: true
  nodes(role: 'master'): readonly (IoRedisLike & { readonly options: { readonly host?: string } })[]
  readonly options?: { readonly natMap?: AddressMap } | undefined
}

/** What is used of a Sentinel client of `redis` (node-redis) 5 and 6. */
export interface NodeRedisSentinel {
  _execute<T>(isReadonly: boolean, use: (master: NodeRedisLike) => Promise<T>): Promise<T>
}

/**
 * The first answer of `ask` for one of `nodes`, in an order of chance: one of them may be the one that is down.
 *
 * @throws What the last of them threw.
 */
async function firstAnswer<N, T>(nodes: readonly N[], ask: (node: N) => Promise<T | undefined>): Promise<T> {
  let why: unknown = new Error('the cluster client knows no server: is it connected?')
  const from = Math.floor(Math.random() * nodes.length)
  for (let at = 0; at < nodes.length; at++) {
    try {
      const answer = await ask(nodes[(from + at) % nodes.length] as N)
      if (answer !== undefined) return answer
      why = new Error('no server of the cluster has the slot of the namespace')
    } catch (error) {
      why = error
    }
  }
  throw why
}

/** Finds the master of a slot: connections of ours go there alone, for nothing tells when a cluster client moves on. */
export function findInNodeRedisCluster(cluster: NodeRedisCluster, slot: number): Promise<OpenConnection> {
  return firstAnswer(cluster.masters, async (node) => {
    const client = await cluster.nodeClient(node)
    const host = (client.options as { socket?: { host?: string } } | undefined)?.socket?.host
    const address = masterOf(await client.sendCommand(['CLUSTER', 'SLOTS']), slot, host)
    if (address === undefined) return undefined
    const there = mapped(address, cluster._options?.nodeAddressMap)
    return (events) => openNodeRedis(client, events, there)
  })
}

/** As {@link findInNodeRedisCluster}. */
export function findInIoRedisCluster(cluster: IoRedisCluster, slot: number): Promise<OpenConnection> {
  return firstAnswer(cluster.nodes('master'), async (node) => {
    const address = masterOf(await node.callBuffer('CLUSTER', 'SLOTS'), slot, node.options.host)
    if (address === undefined) return undefined
    const there: Address = mapped(address, cluster.options?.natMap)
    return (events) => openIoRedis(node, events, there)
  })
}

/** Has Sentinel find the master. */
export function findBySentinel(sentinel: NodeRedisSentinel): Promise<OpenConnection> {
  return sentinel._execute(false, async (master) => (events) => openNodeRedis(master, events))
}
