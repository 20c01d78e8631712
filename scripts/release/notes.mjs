/** Prints the section of CHANGELOG.md for the version in `package.json`; fails if there is none. */

import { readFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { root } from '../lib.mjs'
import { manifest } from './targets.mjs'

/** What a changelog says about a version, or `undefined`. */
export function notesOf(changelog, version) {
  const section = changelog.split(/^## /m).find((part) => part.split('\n', 1)[0].trim() === version)
  return section?.slice(section.indexOf('\n')).trim() || undefined
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const notes = notesOf(readFileSync(path.join(root, 'CHANGELOG.md'), 'utf8'), manifest.version)
  if (notes === undefined) throw new Error(`CHANGELOG.md has no section for ${manifest.version}`)
  console.log(notes)
}
