import { Redis } from 'ioredis'
import { TieredCache, type TieredCacheOptions } from '../../src/tier/tier.js'
import type { Server } from './redis.js'

/** The kind of server that tests of what is built on the record are run on. */
export const KIND = 'redis-7.0'

let namespaces = 0

/** A namespace that no other test uses. */
export function uniqueNamespace(): string {
  namespaces++
  return `test-${process.pid}-${namespaces}`
}

/** A client of a server. It is only copied, so that it connects to nothing itself. */
export function clientOf(server: Server): Redis {
  return new Redis({ path: server.unixSocket ?? '', lazyConnect: true })
}

/** A private cache, as another process would have it, ready to serve. Machines that are busy are slow. */
export async function openTiered<V = unknown>(
  server: Server,
  options: Partial<TieredCacheOptions> & { namespace: string },
): Promise<TieredCache<V>> {
  const cache = new TieredCache<V>({
    redis: clientOf(server),
    readTimeout: 2_000,
    writeTimeout: 5_000,
    ...options,
  })
  await cache.ready(AbortSignal.timeout(10_000))
  return cache
}
