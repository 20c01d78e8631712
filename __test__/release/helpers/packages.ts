import { existsSync } from 'node:fs'
import path from 'node:path'
import type { TestProject } from 'vitest/node'
import { printedBy, runCommand } from './run.js'

const root = path.join(__dirname, '../../..')

/** The staged release, and the tarballs that the tests install. */
export interface Packages {
  /** The folder that a release is staged in: with this machine's binary, and placeholders for the others. */
  readonly stage: string
  /** What stands in `package.json` for the platform of this machine. */
  readonly platform: { readonly name: string; readonly package: string; readonly binary: string }
  /** Tarballs by the names of their packages. */
  readonly tarballs: Readonly<Record<string, string>>
}

declare module 'vitest' {
  export interface ProvidedContext {
    packages: Packages
  }
}

/** Stages a release and packs what of it can be installed here, once for all tests. */
export default async function setup(project: TestProject): Promise<void> {
  const { hostPlatform } = await import('../../../scripts/release/targets.mjs')
  const platform = hostPlatform()
  if (platform === undefined) throw new Error(`no package is built for ${process.platform} ${process.arch}`)
  if (!existsSync(path.join(root, 'native', platform.binary))) {
    throw new Error(`native/${platform.binary} is not built`)
  }
  const stage = path.join(root, 'artifacts/stage')
  const packs = path.join(root, 'artifacts/packs')
  printedBy(
    await runCommand(process.execPath, ['scripts/release/stage.mjs', stage, '--placeholders'], { cwd: root }),
  )

  const packed = await runCommand(
    process.execPath,
    ['scripts/release/pack.mjs', packs, platform.name, stage],
    {
      cwd: root,
    },
  )
  const tarballs = JSON.parse(printedBy(packed))
  project.provide('packages', { stage, platform, tarballs })
}
