import { createRequire } from 'node:module'
import path from 'node:path'
import { CacheError } from '../../common/errors.js'
import { PACKAGE_FOLDER, watchNames } from '../names.js'
import { ABI, type Binding } from './binding.js'
import { assertWhole, binariesFor } from './integrity.js'

type Loaded = { binding: Binding; error?: undefined } | { binding?: undefined; error: CacheError }

/** Loads the binary at `file`, or that of the loader there, and checks that it is of this build. */
export function load(file: string): Loaded {
  let binding: Partial<Binding>
  try {
    for (const binary of file.endsWith('.node') ? [file] : binariesFor(file)) assertWhole(binary)
    binding = createRequire(__filename)(file)
  } catch (cause) {
    return { error: unavailable('the native engine could not be loaded', cause) }
  }
  const abi = typeof binding.abi === 'function' ? binding.abi() : undefined
  if (abi !== ABI) {
    const found = abi === undefined ? 'none' : `${abi}`
    return {
      error: unavailable(
        'the native engine is of another build',
        new Error(`ABI ${ABI} is needed, and ${file} has ${found}; rebuild it or install it again`),
      ),
    }
  }
  // A plain object of the calls: the exports of an addon are a dictionary, in which each call would be looked up.
  return { binding: { ...(binding as Binding) } }
}

function unavailable(message: string, cause: unknown): CacheError {
  return new CacheError('ERR_CACHE_ENGINE_UNAVAILABLE', message, { cause })
}

let loaded: Loaded | undefined

/** The addons of the process, in the order in which they were loaded. */
function peersOf(binding: Binding): { path: string; abi: number; isOwn: boolean }[] {
  const list = binding.peers()
  return Array.from({ length: list.length / 3 }, (_, at) => ({
    path: list[3 * at] as string,
    abi: list[3 * at + 1] as number,
    isOwn: list[3 * at + 2] as boolean,
  }))
}

/**
 * The addon that all copies of the package with this ABI use: of those that are in the process, the one that was
 * loaded first, in whatever thread. So they have their caches in common. Where it cannot be loaded here, this
 * copy has caches of its own, and refuses names that the other has open.
 */
function shared(own: Loaded): Loaded {
  if (own.binding === undefined) return own
  const first = peersOf(own.binding).find((peer) => peer.abi === ABI)
  let chosen = own
  if (first !== undefined && !first.isOwn) {
    const found = load(first.path)
    // Another file may lie there by now.
    const isIt =
      found.binding && peersOf(found.binding).some((peer) => peer.isOwn && peer.path === first.path)
    if (isIt) chosen = found
  }
  chosen.binding?.introduce(PACKAGE_FOLDER)
  if (chosen.binding !== undefined) watchNames(chosen.binding)
  return chosen
}

/** The addon, or why there is none. It is looked for once in each thread. */
export function binding(): Loaded {
  // The loader that @napi-rs/cli writes beside the binaries; it knows the platforms and their packages.
  loaded ??= shared(load(path.join(PACKAGE_FOLDER, 'native/binding.js')))
  return loaded
}

/** Whether the native engine can be used in this process. */
export function isRustCacheAvailable(): boolean {
  return binding().binding !== undefined
}

/** Why the native engine cannot be used, with the loader's reasons as `cause`; `undefined` if it can. */
export function rustCacheLoadError(): CacheError | undefined {
  return binding().error
}
