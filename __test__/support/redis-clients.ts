import * as ioredis from 'ioredis'
import * as ioredis5 from 'ioredis5'
import * as iovalkey from 'iovalkey'
import * as redis from 'redis'
import * as redis5 from 'redis5'

/** A client of a program's own, of which the tier makes copies. */
export interface ClientKind {
  readonly name: string
  /** The package, as a program of the tests requires it. */
  readonly module: string
  /** Makes a client that is not connected. */
  create(path: string, options?: object): object
  /** The same as the source of a program, where `module` is what was required and `path` the socket. */
  readonly source: string
  /** Makes one by a URL. */
  createBy(url: string): object
  /** Options that must not matter. */
  readonly odd: object
}

const ODD_IOREDIS = {
  keyPrefix: 'app:',
  stringNumbers: true,
  enableOfflineQueue: true,
  maxRetriesPerRequest: null,
  retryStrategy: () => 1,
  enableAutoPipelining: true,
  commandTimeout: 100,
  connectionName: 'odd',
}

function ofIoRedis(name: string, module: string, Redis: new (...options: unknown[]) => object): ClientKind {
  return {
    name,
    module,
    createBy: (url) => new Redis(url, { lazyConnect: true }),
    create: (path, options) => new Redis({ path, lazyConnect: true, ...options }),
    source: 'new module.Redis({ path, lazyConnect: true })',
    odd: ODD_IOREDIS,
  }
}

function ofNodeRedis(name: string, module: string, createClient: (options: object) => object): ClientKind {
  return {
    name,
    module,
    createBy: (url) => createClient({ url }),
    create: (path, options) => createClient({ socket: { path, tls: false }, ...options }),
    source: 'module.createClient({ socket: { path, tls: false } })',
    odd: {
      commandOptions: { typeMapping: { 58: String }, timeout: 100 },
      commandsQueueMaxLength: 1,
      pingInterval: 50,
      name: 'odd',
    },
  }
}

/** All that a tier takes. */
const all: readonly ClientKind[] = [
  ofIoRedis('ioredis 6', 'ioredis', ioredis.Redis as never),
  ofIoRedis('ioredis 5', 'ioredis5', ioredis5.Redis as never),
  ofIoRedis('iovalkey', 'iovalkey', iovalkey.Redis as never),
  ofNodeRedis('redis 6', 'redis', redis.createClient as never),
  ofNodeRedis('redis 5', 'redis5', redis5.createClient as never),
]

/** Whether tests ask every client and every server, which takes minutes, instead of the newest clients alone. */
export const isThorough = process.env.SARK_TEST_REDIS !== undefined

export const clients = isThorough
  ? all
  : all.filter(({ module }) => module === 'redis' || module === 'ioredis')
