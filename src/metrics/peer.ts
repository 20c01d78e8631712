import { CacheError } from '../common/errors.js'

/**
 * Loads a package of the program's own.
 *
 * @param load Requires it, by its name, so that it is found where this package is.
 * @throws `ERR_CACHE_PEER_MISSING`, which names the package and the version wanted.
 */
export function peer<T>(name: string, version: string, load: () => T): T {
  try {
    return load()
  } catch (error) {
    const message = `${name} ${version} is needed and cannot be loaded: npm install ${name}@${version}, or pass your own`
    throw new CacheError('ERR_CACHE_PEER_MISSING', message, { cause: error })
  }
}
