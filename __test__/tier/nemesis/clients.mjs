import { Cluster, Redis } from 'ioredis'
import { Redis as Redis5 } from 'ioredis5'
import { createClient, createCluster, createSentinel } from 'redis'

/** How much the record keeps, as the tier says it in each change. */
const FIELDS = '32768'
const LOG = '16384'

/**
 * Defects that can be put into the scripts on their way, each of which the oracle must see.
 *
 * @type {Readonly<Record<string, readonly [text: string, instead: string]>>}
 */
export const MUTANTS = {
  // Entries are believed without their proof.
  proof: ['q>es', 'false'],
  // What the record had forgotten counts as unchanged.
  floor: ['and es>=low', ''],
  // Only the newer generation of the record is looked at.
  older: ['if ok and h[4] then', 'if false then'],
  // A server that was rolled back is taken for the one that it was.
  rollback: [' or h[2]~=id or g<g0 or (g==g0 and s<s0)', ''],
  // The follower is told that nothing changed.
  deaf: ['return {h[1],h[2],x}', 'return {h[1],ARGV[2]}'],
}

/** @typedef {{ fields: number, log: number, mutant: string | undefined }} Tampering */

/** How often something was put in the place of something. */
export const tampered = { limits: 0, scripts: 0 }

/** A command as it is sent instead. @param {readonly (string | Buffer)[]} given @param {Tampering} tampering */
function instead(given, { fields, log, mutant }) {
  const [name] = given
  if (name !== 'EVALSHA' && name !== 'EVAL') return given
  const words = [...given]
  const first = 3 + Number(words[2])
  if (String(words[first]) === LOG && String(words[first + 1]) === FIELDS) {
    words[first] = String(log)
    words[first + 1] = String(fields)
    tampered.limits++
  }
  if (mutant !== undefined) {
    if (name === 'EVALSHA') throw new Error('NOSCRIPT the script is sent anew')
    const [text, other] = MUTANTS[mutant] ?? ['', '']
    const source = String(words[1])
    words[1] = source.replaceAll(text, other)
    if (words[1] !== source) tampered.scripts++
  }
  return words
}

/** @param {new (options: any) => any} Class @param {Tampering} tampering @returns {any} */
function ofIoRedis(Class, tampering) {
  return class Tampered extends Class {
    duplicate(/** @type {object} */ overrides) {
      return new Tampered({ ...this.options, ...overrides })
    }
    async callBuffer(/** @type {(string | Buffer)[]} */ ...words) {
      return super.callBuffer(...instead(words, tampering))
    }
  }
}

/** @param {any} client @param {Tampering} tampering */
function tamperWith(client, tampering) {
  const { sendCommand, duplicate } = client
  client.sendCommand = async (/** @type {any} */ words, /** @type {any} */ options) =>
    sendCommand.call(client, instead(words, tampering), options)
  client.duplicate = (/** @type {any} */ overrides) =>
    tamperWith(duplicate.call(client, overrides), tampering)
  return client
}

/** @typedef {{ client: string, path?: string, port?: number }} ClientSpec */

/**
 * A client as a program would have it: that of a server is never connected, those of a cluster are.
 *
 * @param {ClientSpec} spec @param {Tampering} tampering
 */
export async function clientOf({ client, path = '', port = 0 }, tampering) {
  const node = { host: '127.0.0.1', port }
  const at = path === '' ? node : { path }
  const ignore = () => {}
  switch (client) {
    case 'ioredis':
      return { redis: new (ofIoRedis(Redis, tampering))({ ...at, lazyConnect: true }), close: ignore }
    case 'ioredis5':
      return { redis: new (ofIoRedis(Redis5, tampering))({ ...at, lazyConnect: true }), close: ignore }
    case 'redis':
      return { redis: tamperWith(createClient({ socket: { ...at, tls: false } }), tampering), close: ignore }
    case 'ioredis cluster': {
      const cluster = new Cluster([node])
      cluster.on('error', ignore)
      return { redis: cluster, close: () => cluster.disconnect() }
    }
    case 'redis cluster': {
      const cluster = createCluster({ rootNodes: [{ url: `redis://127.0.0.1:${port}` }] })
      cluster.on('error', ignore)
      await cluster.connect()
      return { redis: cluster, close: () => cluster.destroy() }
    }
    case 'ioredis sentinel':
      return { redis: new Redis({ sentinels: [node], name: 'main', lazyConnect: true }), close: ignore }
    case 'redis sentinel': {
      const sentinel = createSentinel({ name: 'main', sentinelRootNodes: [node] })
      sentinel.on('error', ignore)
      await sentinel.connect()
      return { redis: sentinel, close: () => sentinel.destroy() }
    }
    default:
      throw new Error(`there is no client ${client}`)
  }
}
