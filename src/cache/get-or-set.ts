import { checkFunction, checkKey } from '../common/validate.js'
import { type GetOrSetOptions, type LoadContext, parseGetOrSet, tell } from '../loading/options.js'
import { type LoadRequest, settingsOf } from '../loading/request.js'
import type { CacheCore } from './core.js'

type Load<V> = (context: LoadContext<V>) => V | Promise<V>

/** @param loadMissing Loads what is not there. */
export function getOrSet<V>(
  core: CacheCore<V>,
  key: string,
  load: Load<V>,
  options: GetOrSetOptions | undefined,
  loadMissing: (request: LoadRequest<V>) => Promise<V> = (request) => core.loader.load(request),
): Promise<V> {
  try {
    const value = hit(core, key, load, options, loadMissing)
    return value instanceof Promise ? value : Promise.resolve(value)
  } catch (error) {
    return Promise.reject(error)
  }
}

function hit<V>(
  core: CacheCore<V>,
  given: string,
  load: Load<V>,
  more: GetOrSetOptions | undefined,
  loadMissing: (request: LoadRequest<V>) => Promise<V>,
): V | Promise<V> {
  checkKey(given)
  checkFunction(load, 'load')
  const options = more === undefined ? {} : parseGetOrSet(more)
  options.signal?.throwIfAborted()
  const key = core.keyOf(given)
  const request = (): LoadRequest<V> => ({ ...settingsOf(options, core.loading), key, load })
  if (options.forceRefresh) return core.loader.loadFresh(request())
  let value = core.get(key)
  if (value !== undefined && (options.refreshAhead ?? core.loading.refreshAhead)) {
    if (core.loader.refreshIfDue(request())) value = core.peek(key)
  }
  if (value === undefined) return loadMissing(request())
  tell(options.status, 'hit')
  return value
}
