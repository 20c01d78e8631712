import KeyvRedis, { Keyv } from '@keyv/redis'
import { BentoCache, bentostore } from 'bentocache'
import { memoryDriver } from 'bentocache/drivers/memory'
import { redisBusDriver, redisDriver } from 'bentocache/drivers/redis'
import { Cacheable } from 'cacheable'
import { Redis } from 'ioredis'
import { createClient } from 'redis'
import { TieredCache } from 'sark-cache/tier'

/** Ms that values live. */
export const TTL = 600_000

/**
 * One way to a cache of two tiers.
 *
 * @typedef {object} Tiered
 * @property {(key: string) => Promise<unknown>} get
 * @property {(key: string, load: () => Promise<unknown>) => Promise<unknown>} getOrSet
 * @property {(key: string) => Promise<unknown>} remove
 * @property {() => Promise<unknown>} close
 */

/** @typedef {{ path: string } | { host: string, port: number }} At */

/**
 * Ours.
 *
 * @param {At} at
 * @param {boolean} near Whether it keeps what it reads in memory.
 * @returns {Promise<Tiered>}
 */
export async function ours(at, near) {
  const redis = new Redis({ ...at, lazyConnect: true })
  const cache = new TieredCache({
    namespace: 'bench',
    ttl: TTL,
    redis,
    readTimeout: 5_000,
    writeTimeout: 5_000,
    ...(near ? {} : { localTtl: 1 }),
  })
  await cache.ready(AbortSignal.timeout(10_000))
  return {
    get: (key) => cache.get(key),
    getOrSet: (key, load) => cache.getOrSet(key, load),
    remove: (key) => cache.delete(key),
    close: () => cache.close(),
  }
}

/** @type {typeof ours} */
async function bento(at, near) {
  const connection = { ...at }
  const second = redisDriver({ connection })
  const store = near
    ? bentostore()
        .useL1Layer(memoryDriver({ maxItems: 10_000 }))
        .useL2Layer(second)
    : bentostore().useL2Layer(second)
  const cache = new BentoCache({
    default: 'bench',
    stores: { bench: near ? store.useBus(redisBusDriver({ connection })) : store },
  })
  return {
    get: (key) => cache.get({ key }),
    getOrSet: (key, factory) => cache.getOrSet({ key, factory, ttl: TTL }),
    remove: (key) => cache.delete({ key }),
    close: () => cache.disconnectAll(),
  }
}

/** @type {typeof ours} */
async function cacheable(at, near) {
  const socket = 'path' in at ? { path: at.path, tls: false } : at
  const store = () => new Keyv({ store: new KeyvRedis({ socket }) })
  const cache = near
    ? new Cacheable({ secondary: store(), ttl: TTL })
    : new Cacheable({ primary: store(), ttl: TTL })
  return {
    get: (key) => cache.get(key),
    getOrSet: (key, load) => cache.getOrSet(key, load, { ttl: TTL }),
    remove: (key) => cache.delete(key),
    close: () => cache.disconnect(),
  }
}

/**
 * The client's own cache in memory, which Redis tells of changes, and Redis as one would use it without more.
 *
 * @type {typeof ours}
 */
async function nodeRedis(at, near) {
  const socket = 'path' in at ? { path: at.path, tls: false } : at
  const client = createClient({
    socket,
    RESP: 3,
    ...(near ? { clientSideCache: { ttl: TTL, maxEntries: 10_000, evictPolicy: 'LRU' } } : {}),
  })
  client.on('error', () => {})
  await client.connect()
  const get = async (/** @type {string} */ key) => {
    const text = await client.get(`client:${key}`)
    return text === null ? undefined : JSON.parse(String(text))
  }
  return {
    get,
    async getOrSet(key, load) {
      const found = await get(key)
      if (found !== undefined) return found
      const value = await load()
      await client.set(`client:${key}`, JSON.stringify(value), { expiration: { type: 'PX', value: TTL } })
      return value
    },
    remove: (key) => client.del(`client:${key}`),
    close: async () => client.destroy(),
  }
}

export const CONTENDERS = { 'sark-cache': ours, bentocache: bento, cacheable, 'node-redis': nodeRedis }
