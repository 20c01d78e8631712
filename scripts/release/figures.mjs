/**
 * Prints what an installation costs, from the tarballs that the release tests packed: the size of the
 * packages, the time of `npm install`, and the time from the import to the first hit on each runtime.
 */

import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { glibcVersion, root } from '../lib.mjs'

const RUNS = 15

const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1]
const packs = path.join(root, 'artifacts/packs')
if (!existsSync(packs)) throw new Error('nothing is packed: npm run test:release -- install')
const tarballs = readdirSync(packs).map((name) => path.join(packs, name))
for (const tarball of tarballs.filter((name) => path.basename(name).startsWith('sark-cache'))) {
  console.log(`${path.basename(tarball)}: ${(statSync(tarball).size / 1_000).toFixed(1)} kB`)
}

const project = mkdtempSync(path.join(tmpdir(), 'sark-cache-'))
try {
  const installs = Array.from({ length: 3 }, () => {
    rmSync(path.join(project, 'node_modules'), { recursive: true, force: true })
    rmSync(path.join(project, 'package-lock.json'), { force: true })
    writeFileSync(path.join(project, 'package.json'), JSON.stringify({ private: true }))
    const flags = [
      '--offline',
      '--ignore-scripts',
      '--no-audit',
      '--no-fund',
      '--cache',
      path.join(project, '.npm'),
    ]
    const start = performance.now()
    execFileSync('npm', ['install', ...flags, ...tarballs], {
      cwd: project,
      stdio: 'ignore',
      shell: process.platform === 'win32',
    })
    return performance.now() - start
  })
  console.log(
    `npm install of the tarballs: ${(median(installs) / 1_000).toFixed(2)} s, median of ${installs.length}`,
  )

  cpSync(path.join(root, '__test__/release/programs/first-hit.mjs'), path.join(project, 'first-hit.mjs'))
  const tools = path.join(root, 'tools/node_modules')
  /** @type {[name: string, command: string, ...flags: string[]][]} */
  const runtimes = [
    [`this Node.js (${process.version})`, process.execPath],
    ...[20, 22, 24, 26].map(
      (version) =>
        /** @type {[string, string]} */ ([
          `Node.js ${version}`,
          path.join(tools, `node${version}-linux-x64/bin/node`),
        ]),
    ),
    ['Bun', path.join(tools, '@oven/bun-linux-x64/bin/bun')],
    ['Deno', path.join(tools, '@deno/linux-x64-glibc/deno'), 'run', '--allow-all', '--quiet'],
  ]
  // npm brings the runtimes of `tools/` to Alpine, too, where none of them starts.
  const here = runtimes.filter(
    ([, command]) => command === process.execPath || (glibcVersion() && existsSync(command)),
  )
  for (const [name, command, ...flags] of here) {
    const times = Array.from({ length: RUNS }, () =>
      Number(execFileSync(command, [...flags, 'first-hit.mjs'], { cwd: project, encoding: 'utf8' })),
    )
    const [best, middle] = [Math.min(...times), median(times)].map((ms) => ms.toFixed(1))
    console.log(`import to first hit on ${name}: ${middle} ms, median of ${RUNS} (best ${best})`)
  }
} finally {
  rmSync(project, { recursive: true })
}
