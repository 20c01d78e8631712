import { readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from 'vitest'

const root = path.join(__dirname, '../..')

interface Locked {
  version: string
  resolved?: string
  dependencies?: Record<string, string>
  optionalDependencies?: Record<string, string>
}

function lockOf(folder: string): Record<string, Locked> {
  return JSON.parse(readFileSync(path.join(root, folder, 'package-lock.json'), 'utf8')).packages
}

/** Whether the package at `place` of a lock finds `name`, in its own folder or in one above it. */
function finds(packages: Record<string, Locked>, place: string, name: string): boolean {
  for (let at = place; ; ) {
    if (packages[path.posix.join(at, 'node_modules', name)] !== undefined) return true
    if (at === '') return false
    at = at.includes('/node_modules/') ? at.slice(0, at.lastIndexOf('/node_modules/')) : ''
  }
}

// npm keeps only what it installs when a lock is written beside a `node_modules`, and `npm ci` then refuses it
// on every other platform.
describe.each(['.', 'tools', 'bench'])('the lock of %s', (folder) => {
  const packages = lockOf(folder)

  it('holds every package that another asks for, whatever platform it is for', () => {
    const missing = Object.entries(packages).flatMap(([place, { dependencies, optionalDependencies }]) =>
      Object.keys({ ...dependencies, ...optionalDependencies })
        .filter((name) => !finds(packages, place, name))
        .map((name) => `${place || folder} asks for ${name}`),
    )
    expect(missing).toEqual([])
  })

  it('is of the package beside it, and names no registry but the public one', () => {
    const { dependencies, devDependencies, optionalDependencies } = JSON.parse(
      readFileSync(path.join(root, folder, 'package.json'), 'utf8'),
    )
    expect(packages['']).toMatchObject(
      JSON.parse(JSON.stringify({ dependencies, devDependencies, optionalDependencies })),
    )
    const places = Object.values(packages).flatMap(({ resolved }) => resolved ?? [])
    expect(places.filter((place) => !place.startsWith('https://registry.npmjs.org/'))).toEqual([])
  })
})
