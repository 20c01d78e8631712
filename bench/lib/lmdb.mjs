import { mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { atEnd } from './at-end.mjs'

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
