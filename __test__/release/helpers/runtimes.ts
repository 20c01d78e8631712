import { existsSync } from 'node:fs'
import path from 'node:path'

const tools = path.join(__dirname, '../../../tools/node_modules')

/** A JavaScript runtime that can be run here. */
export interface Runtime {
  readonly name: string
  readonly command: string
  /** What comes before the script's path. */
  readonly flags: readonly string[]
}

/** Whether this machine runs the binaries of `tools/`: npm brings those to Alpine, too, for they name no C library. */
const { header } = process.report.getReport() as { header: { glibcVersionRuntime?: string } }
const glibc = header.glibcVersionRuntime !== undefined

const node = (version: number): Runtime => ({
  name: `Node.js ${version}`,
  command: path.join(tools, `node${version}-linux-x64/bin/node`),
  flags: [],
})

const known: readonly Runtime[] = [
  node(20),
  node(22),
  node(24),
  node(26),
  { name: 'Bun', command: path.join(tools, '@oven/bun-linux-x64/bin/bun'), flags: [] },
  {
    name: 'Deno',
    command: path.join(tools, '@deno/linux-x64-glibc/deno'),
    flags: ['run', '--allow-all', '--quiet', '--node-modules-dir=manual'],
  },
]

/** The runtimes of `tools/`; where none of them runs, as on other platforms, the one that runs the tests. */
export const runtimes: readonly Runtime[] = (() => {
  const here = known.filter(({ command }) => glibc && existsSync(command))
  return here.length > 0
    ? here
    : [{ name: `Node.js ${process.versions.node}`, command: process.execPath, flags: [] }]
})()

/** Those of them that are Node.js. */
export const nodes: readonly Runtime[] = runtimes.filter(({ name }) => name.startsWith('Node.js'))
