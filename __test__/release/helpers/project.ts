import { cpSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { inject } from 'vitest'
import { type Ended, npm, printedBy } from './run.js'

/** The folder of the programs that run inside an installed project. */
const programs = path.join(__dirname, '../programs')

/** An empty folder into which packages were installed. */
export interface Project {
  readonly folder: string
  /** How `npm install` went. */
  readonly installed: Ended
  remove(): void
}

/** Installs tarballs into an empty folder: offline, with an empty cache, and with no script of any package. */
export async function install(tarballs: readonly string[]): Promise<Project> {
  const folder = mkdtempSync(path.join(tmpdir(), 'sark-cache-'))
  writeFileSync(path.join(folder, 'package.json'), JSON.stringify({ private: true }))
  cpSync(programs, folder, { recursive: true })
  const flags = [
    '--offline',
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    '--cache',
    path.join(folder, '.npm'),
  ]
  const installed = await npm(['install', ...flags, ...tarballs], { cwd: folder })
  printedBy(installed)
  return { folder, installed, remove: () => rmSync(folder, { recursive: true }) }
}

/** The names of the packages in a `node_modules`, those with a scope, too. */
export function packagesIn(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => !name.startsWith('.'))
    .flatMap((name) =>
      name.startsWith('@') ? readdirSync(path.join(folder, name)).map((inner) => `${name}/${inner}`) : [name],
    )
}

/** A project with everything that this machine gets. */
export function installAll(): Promise<Project> {
  return install(Object.values(inject('packages').tarballs))
}

/** A project as `npm install --omit=optional` leaves it: without the platform package. */
export function installWithoutBinary(): Promise<Project> {
  const { tarballs, platform } = inject('packages')
  return install(
    Object.keys(tarballs).flatMap((name) => (name === platform.package ? [] : [tarballs[name] as string])),
  )
}
