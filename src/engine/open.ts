import { debug, opened } from '../common/channels.js'
import { describe, outOfRange } from '../common/errors.js'
import type { EngineKind } from '../common/settings.js'
import type { Engine, EngineOptions } from './engine.js'
import { FallbackEngine } from './fallback/engine.js'
import { NativeEngine } from './native/engine.js'
import { binding } from './native/load.js'

type Threads = typeof import('node:worker_threads')

/** What a thread leaves to those that it starts, so that they do not warn again. */
const WARNED = 'sark-cache:warned'

/** The engine that the environment variable `SARK_CACHE_ENGINE` asks for, if it does. */
function fromEnvironment(): EngineKind | undefined {
  const value = process.env.SARK_CACHE_ENGINE
  if (value === undefined || value === '') return undefined
  if (value === 'rust' || value === 'js') return value
  throw outOfRange(`SARK_CACHE_ENGINE must be rust or js, not ${describe(value)}`)
}

/**
 * Opens the engine that is asked for by `forced`, else by `SARK_CACHE_ENGINE`; else the native one, and where
 * that cannot be loaded the fallback, with one warning.
 *
 * @throws `ERR_CACHE_ENGINE_UNAVAILABLE`, with the loader's reasons as `cause`, if `rust` is asked for and
 * cannot be loaded.
 */
export function openEngine(options: EngineOptions, forced: EngineKind | undefined): Engine {
  const engine = select(options, forced ?? fromEnvironment())
  debug('opened %s on the %s engine', options.label ?? 'a private cache', engine.kind)
  if (opened.hasSubscribers) opened.publish({ name: options.label, engine: engine.kind, ...engine.settings })
  return engine
}

function select(options: EngineOptions, asked: EngineKind | undefined): Engine {
  if (asked === 'js') return FallbackEngine.open(options)
  const native = binding()
  if (native.binding !== undefined) return NativeEngine.open(native.binding, options)
  if (asked === 'rust') throw native.error
  // Loaded here alone: on the native engine nobody needs it.
  const { getEnvironmentData, setEnvironmentData } = require('node:worker_threads') as Threads
  if (getEnvironmentData(WARNED) === undefined) {
    setEnvironmentData(WARNED, true)
    process.emitWarning(
      'The native engine could not be loaded, and caches live in JavaScript: they are not shared between ' +
        'threads, and an invalidation does not reach other threads. rustCacheLoadError() says why.',
      { type: 'SarkCacheWarning', code: 'SARK_CACHE_FALLBACK' },
    )
  }
  return FallbackEngine.open(options)
}
