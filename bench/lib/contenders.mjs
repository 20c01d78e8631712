import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import os from 'node:os'
import path from 'node:path'
import { isRustCacheAvailable, rustCacheLoadError } from 'sark-cache'
import { atEnd } from './processes.mjs'

/** @typedef {import('./loops.mjs').Store} Store */
/** @typedef {import('./workload.mjs').Decision} Decision */

/**
 * A cache that is compared with others.
 *
 * @typedef {object} Contender
 * @property {string} name
 * @property {string} [of] The package it is from, if it is from one.
 * @property {boolean} [isSlow] Whether fewer operations are enough, and save much time.
 * @property {() => Promise<OpenStore>} open
 */

/**
 * @typedef {object} OpenStore
 * @property {Store} store
 * @property {(keys: readonly string[], values: readonly Decision[]) => void} [fill] Where it is not `set` that fills it.
 * @property {() => unknown} [close]
 */

export const NEAR = 'sark-cache'
export const FAR = 'sark-cache, near: false'
export const JS = 'sark-cache, engine: js'
export const LRU = 'lru-cache'
export const MAP = 'Map'
export const JSON_MAP = 'Map + JSON'

/**
 * All caches of the JavaScript world that answer at once.
 *
 * @param {number} max
 * @param {number} ttl
 * @returns {Contender[]}
 */
export function contenders(max, ttl) {
  /** @type {(name: string, options: object) => Contender} */
  const own = (name, options) => ({
    name,
    open: async () => {
      const { Cache } = freshPackage()
      const store = new Cache({ max, ttl, ...options })
      return { store, close: () => store.close() }
    },
  })
  return [
    own(NEAR, { engine: 'rust' }),
    own(FAR, { engine: 'rust', near: false }),
    own(JS, { engine: 'js' }),
    {
      name: LRU,
      of: 'lru-cache',
      open: async () => {
        const { LRUCache } = await import('lru-cache')
        return { store: new LRUCache({ max, ttl }) }
      },
    },
    {
      name: 'lru.min, no TTL',
      of: 'lru.min',
      open: async () => {
        const { createLRU } = await import('lru.min')
        return { store: createLRU({ max }) }
      },
    },
    {
      name: 'tiny-lru',
      of: 'tiny-lru',
      open: async () => {
        const { lru } = await import('tiny-lru')
        return { store: lru(max, ttl) }
      },
    },
    {
      name: 'quick-lru',
      of: 'quick-lru',
      open: async () => {
        const { default: QuickLRU } = await import('quick-lru')
        return { store: new QuickLRU({ maxSize: max, maxAge: ttl }) }
      },
    },
    ...[true, false].map((useClones) => ({
      name: useClones ? 'node-cache' : 'node-cache, no clones',
      of: 'node-cache',
      open: async () => {
        const { default: NodeCache } = await import('node-cache')
        const store = new NodeCache({ stdTTL: ttl / 1000, maxKeys: max, useClones })
        return { store, close: () => store.close() }
      },
    })),
    ...[true, false].map((useClone) => ({
      name: useClone ? '@cacheable/memory' : '@cacheable/memory, no clones',
      of: '@cacheable/memory',
      isSlow: true,
      open: async () => {
        const { CacheableMemory } = await import('@cacheable/memory')
        return { store: new CacheableMemory({ ttl, lruSize: max, useClone }) }
      },
    })),
    {
      name: 'lmdb, no TTL',
      of: 'lmdb',
      isSlow: true,
      open: async () => {
        const db = await openLmdb(path.join(temporaryFolder(), 'hot'))
        return {
          store: { get: (key) => db.get(key), set: (key, value) => db.putSync(key, value) },
          fill: (keys, values) => {
            db.transactionSync(() => {
              for (const [at, key] of keys.entries()) db.put(key, values[at])
            })
          },
          close: () => db.close(),
        }
      },
    },
    { name: MAP, open: async () => ({ store: new Map() }) },
    { name: JSON_MAP, open: async () => ({ store: new JsonMap() }) },
  ]
}

/**
 * Opens and fills the stores of those that can be loaded, and says of the others why not.
 *
 * @param {readonly Contender[]} contestants
 * @param {readonly string[]} keys
 * @param {readonly Decision[]} values
 */
export async function openAll(contestants, keys, values) {
  const opened = []
  for (const contender of contestants) {
    const { name } = contender
    /** @type {OpenStore} */
    let open
    try {
      open = await contender.open()
    } catch (error) {
      console.log(`The row of ${name} is skipped: ${/** @type {Error} */ (error).message}`)
      continue
    }
    // Values of its own, as a service that parsed an answer would store: objects that several candidates or keys share
    // are fewer, and stay in the caches of the processor.
    const own = values.map((value) => JSON.parse(JSON.stringify(value)))
    if (open.fill !== undefined) open.fill(keys, own)
    else for (const [at, key] of keys.entries()) open.store.set(key, own[at])
    const last = keys.length - 1
    assert.deepEqual(
      open.store.get(/** @type {string} */ (keys[last])),
      values[last],
      `last value of ${name}`,
    )
    opened.push({ ...contender, ...open })
  }
  return opened
}

/** Ends this process, without an error, where there is no native engine to be measured. */
export function requireNativeEngine() {
  if (isRustCacheAvailable()) return
  console.log(`Skipped: ${rustCacheLoadError()?.message}`)
  process.exit(0)
}

/** A map that holds values as JSON. */
export class JsonMap {
  #map

  /** @param {Map<string, string>} map */
  constructor(map = new Map()) {
    this.#map = map
  }

  /** @param {string} key */
  get(key) {
    const text = this.#map.get(key)
    return text === undefined ? undefined : JSON.parse(text)
  }

  /**
   * @param {string} key
   * @param {unknown} value
   */
  set(key, value) {
    this.#map.set(key, JSON.stringify(value))
    return true
  }

  /** @param {string} key */
  delete(key) {
    return this.#map.delete(key)
  }

  get size() {
    return this.#map.size
  }
}

/** A map in which a new key takes the place of the oldest one. */
export class FifoMap extends Map {
  // A new iterator for each eviction would pass over the places of all keys deleted before.
  #oldest = this.keys()
  #max

  /** @param {number} max */
  constructor(max) {
    super()
    this.#max = max
  }

  /**
   * @override
   * @param {string} key
   * @param {unknown} value
   */
  set(key, value) {
    if (this.size === this.#max && !this.has(key)) this.delete(this.#oldest.next().value)
    return super.set(key, value)
  }
}

/** What has the methods of a cache and keeps nothing: what is left is the text. */
export class Stringifier {
  /**
   * @param {string} _key
   * @param {unknown} value
   */
  set(_key, value) {
    return JSON.stringify(value).length > 0
  }
}

const require = createRequire(import.meta.url)

/**
 * The JavaScript of this package once more, with the same native engine. Caches of different options in one
 * process otherwise share V8's type feedback, which no process that uses one kind of them has.
 *
 * @returns {typeof import('sark-cache')}
 */
export function freshPackage() {
  const folder = path.dirname(require.resolve('sark-cache')) + path.sep
  for (const file of Object.keys(require.cache)) {
    if (file.startsWith(folder)) delete require.cache[file]
  }
  return require('sark-cache')
}

/** A folder for databases, removed when this process ends. */
export function temporaryFolder() {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'sark-cache-bench-'))
  atEnd(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/**
 * A database that does not wait for the disk.
 *
 * @param {string} file
 */
export async function openLmdb(file) {
  const { open } = await import('lmdb')
  return open({ path: file, noSync: true, overlappingSync: false })
}

/** Whether lmdb can be loaded here; if not, a line says why. */
export async function hasLmdb() {
  try {
    await import('lmdb')
    return true
  } catch (error) {
    console.log(`The rows of lmdb are skipped: ${/** @type {Error} */ (error).message}`)
    return false
  }
}
