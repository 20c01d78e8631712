import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('../..', import.meta.url))
export const bench = path.join(root, 'bench')

/**
 * The folder of an installed package, or of this one.
 *
 * @param {string} name
 */
export function folderOf(name) {
  if (name === 'sark-cache') return root
  const own = path.join(bench, 'node_modules', name)
  return existsSync(own) ? own : path.join(root, 'node_modules', name)
}

/**
 * @param {string} folder
 * @returns {{ name: string, version: string, dependencies?: Record<string, string>,
 *   optionalDependencies?: Record<string, string> }}
 */
export const manifestOf = (folder) => JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8'))

/**
 * The installed versions of packages.
 *
 * @param {Iterable<string>} names
 */
export function versionsOf(names) {
  return Object.fromEntries([...new Set(names)].map((name) => [name, manifestOf(folderOf(name)).version]))
}
