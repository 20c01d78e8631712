import path from 'node:path'
import { CacheError } from '../common/errors.js'
import type { EngineKind } from '../common/settings.js'

/** The folder of this copy of the package, by which errors tell it from others. */
// In each build this lies in a folder of `src` or `dist`.
export const PACKAGE_FOLDER = path.join(__dirname, '../..')

/**
 * A name that is open in this thread, on whichever engine and by whichever copies of the package. All versions of the
 * package know these fields; another shape comes under another symbol.
 */
interface Holder {
  readonly engine: EngineKind
  /** What copies must agree on to share what is behind the name. */
  readonly format: number
  /** The folder of the copy that opened the name first. */
  readonly folder: string
  /** Engines that have it open. */
  users: number
  /** What engines of this format share, where it lies in JavaScript. */
  readonly shared: unknown
  /** Tells the native engine that the name is not open any more, if it was told that it is. */
  release?: (() => void) | undefined
}

/** Under which the names lie on `globalThis`, for all copies of the package to find. */
const NAMES = Symbol.for('sark-cache.names.v1')

/**
 * The names of this thread. Not covered: contexts of `node:vm` and other realms have a `globalThis` of their own, and
 * with it names of their own on the fallback engine.
 */
function names(): Map<string, Holder> {
  const realm = globalThis as { [NAMES]?: Map<string, Holder> }
  if (realm[NAMES] === undefined) {
    Object.defineProperty(realm, NAMES, { value: new Map<string, Holder>() })
  }
  return realm[NAMES] as Map<string, Holder>
}

/** What the native engine knows of names, in all threads and in the addons of other copies. */
interface NativeNames {
  /** Notes that the fallback engine of this thread has a name open. */
  reserve(name: string): void
  /** Notes that it has not any more. */
  unreserve(name: string): void
  /** What has a name open that the native engine, or the fallback one, can not share with it. */
  heldElsewhere(name: string, fallback: number): [engine: EngineKind, folder: string] | undefined
}

/** The native engine of this thread, once it is loaded. */
let native: NativeNames | undefined

/** A name as the program gave it: the layer above puts before it what the cache is for. */
function shown(name: string): string {
  const policy = /^policy:(\d+):/.exec(name)
  const start = policy === null ? name.indexOf(':') + 1 : policy[0].length + Number(policy[1])
  return JSON.stringify(name.slice(start))
}

function conflict(name: string, held: { engine: string; folder: string }): CacheError {
  const engine = held.engine === 'rust' ? 'native' : 'fallback'
  return new CacheError(
    'ERR_CACHE_OPTIONS_CONFLICT',
    `${shown(name)}: a cache of this name is open on the ${engine} engine of the package in ` +
      `${held.folder || PACKAGE_FOLDER}, which cannot share it with the package in ${PACKAGE_FOLDER}`,
  )
}

/** Throws if a name is open in another thread, or by another copy, where it cannot be shared. */
function assertNotElsewhere(name: string, engine: EngineKind): void {
  const held = native?.heldElsewhere(name, engine === 'js' ? 1 : 0)
  if (held !== undefined) throw conflict(name, { engine: held[0], folder: held[1] })
}

/** Has the native engine know that a name is open on the fallback, if it is there to know. */
function reserve(name: string, holder: Holder): void {
  if (native === undefined || holder.engine !== 'js' || holder.release !== undefined) return
  const { reserve, unreserve } = native
  reserve(name)
  holder.release = () => unreserve(name)
}

/**
 * Has the names of this thread watched by the native engine, which knows those of all threads. What is open on the
 * fallback engine in a thread that has not loaded the native one is known to nobody else, and a thread that opens
 * the same name there, on the native engine, has a cache of its own.
 */
export function watchNames(binding: NativeNames): void {
  native = binding
  for (const [name, holder] of names()) reserve(name, holder)
}

/**
 * What is shared under a name, if engines of this kind and format have it open in this thread.
 *
 * @throws `ERR_CACHE_OPTIONS_CONFLICT` if others have.
 */
export function sharedUnder(name: string, engine: EngineKind, format: number): unknown {
  const holder = names().get(name)
  if (holder === undefined) return undefined
  // The native engine itself knows the formats of others.
  const fits = holder.engine === engine && (engine === 'rust' || holder.format === format)
  if (!fits) throw conflict(name, holder)
  return holder.shared
}

/**
 * Opens a name once more for an engine that fits what {@link sharedUnder} found; returns how to close it. On the native
 * engine it is to be called when the cache is open: of two who open a name for both engines, or in two copies that
 * do not share, at least one sees the other.
 *
 * @throws `ERR_CACHE_OPTIONS_CONFLICT` if it is open elsewhere; it is then as before.
 */
export function holdName(name: string, engine: EngineKind, format: number, shared: unknown): () => void {
  let holder = names().get(name)
  if (holder === undefined) {
    holder = { engine, format, folder: PACKAGE_FOLDER, users: 0, shared }
    names().set(name, holder)
  }
  holder.users++
  const held = holder
  const leave = () => {
    held.users--
    if (held.users > 0) return
    held.release?.()
    if (names().get(name) === held) names().delete(name)
  }
  try {
    reserve(name, held)
    // On the fallback, whoever comes later in this thread opens no other cache; copies may have two native engines.
    if (engine === 'rust' || held.users === 1) assertNotElsewhere(name, engine)
  } catch (error) {
    leave()
    throw error
  }
  return leave
}
