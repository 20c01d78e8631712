import { createRequire } from 'node:module'
import path from 'node:path'

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
