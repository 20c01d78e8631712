// How long does it take from the import to the first hit, and what does an installation take on the disk?

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, statSync } from 'node:fs'
import path from 'node:path'
import { root } from '../scripts/lib.mjs'
import { digits } from './lib/chart.mjs'
import { interleave, scaled, spread } from './lib/compare.mjs'
import { LRU, NEAR, requireNativeEngine, temporaryFolder } from './lib/contenders.mjs'
import { bar, folderOf, manifestOf, printTable, writeReport } from './lib/report.mjs'

/**
 * @typedef {object} Program
 * @property {string} name
 * @property {string} [of] The package that it imports.
 * @property {string} use What it does with the package, `p`, to have a `cache`.
 */

const ROUNDS = scaled(25, 2)
const folder = temporaryFolder()
let databases = 0

requireNativeEngine()
const notes = [
  'Each figure is that of a new process, which imports the package, opens a cache, stores a value and reads it. What it takes is timed from before the import to after the read. The whole process, from its start to its end, is timed too; an empty one is the least that it can take.',
  'Installed: the bytes of the files of a package and of all packages that it depends on, for this platform. Of sark-cache what is published, its native binary included.',
]
console.log(`\n${notes.join('\n')}`)

const EMPTY = 'an empty program'
/** @type {readonly Program[]} */
const programs = [
  { name: EMPTY, use: '' },
  { name: NEAR, of: 'sark-cache', use: 'const cache = new p.Cache({ max: 1000, ttl: 60000 })' },
  { name: LRU, of: 'lru-cache', use: 'const cache = new p.LRUCache({ max: 1000, ttl: 60000 })' },
  {
    name: 'node-cache',
    of: 'node-cache',
    use: 'const cache = new (p.default ?? p)({ maxKeys: 1000, stdTTL: 60, checkperiod: 0 })',
  },
  {
    name: 'lmdb',
    of: 'lmdb',
    use: 'const db = p.open({ path: process.argv[1], noSync: true }); const cache = { get: (key) => db.get(key), set: (key, value) => db.putSync(key, value) }',
  },
]
const systems = /** @type {const} */ ([
  { name: 'import', type: 'module', load: (/** @type {string} */ of) => `await import('${of}')` },
  { name: 'require', type: 'commonjs', load: (/** @type {string} */ of) => `require('${of}')` },
])

/**
 * @param {Program} program
 * @param {(typeof systems)[number]} system
 */
function sourceOf({ of, use }, { load }) {
  const body =
    of === undefined
      ? ''
      : `const p = ${load(of)}; ${use}; cache.set('key', { allowed: true }); if (cache.get('key').allowed !== true) throw new Error('no hit');`
  return `const start = performance.now(); ${body} console.log(performance.now() - start)`
}

/**
 * @param {Program} program
 * @param {(typeof systems)[number]} system
 */
function run(program, system) {
  const file = path.join(folder, `${databases++}`)
  const args = [`--input-type=${system.type}`, '--eval', sourceOf(program, system), file]
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    cwd: path.join(root, 'bench'),
    encoding: 'utf8',
  })
  assert.equal(status, 0, /^\w*Error.*/m.exec(stderr)?.[0] ?? stderr)
  const ms = Number(stdout)
  assert.ok(ms > 0, `${program.name} said ${stdout}`)
  return ms
}

/** @param {Program} program */
function isUsable(program) {
  try {
    run(program, systems[0])
    return true
  } catch (error) {
    console.log(`The rows of ${program.name} are skipped: ${/** @type {Error} */ (error).message}`)
    return false
  }
}

const usable = programs.filter(isUsable)
const lanes = usable.flatMap((program) =>
  systems.map((system) => ({
    name: `${program.name}, ${system.name}`,
    program,
    inside: /** @type {number[]} */ ([]),
    system,
  })),
)
const warmup = 1
const timings = await interleave(
  lanes.map((lane) => ({
    name: lane.name,
    ops: 1,
    run: () => {
      const ms = run(lane.program, lane.system)
      lane.inside.push(ms)
      return ms
    },
  })),
  { baseline: lanes[0]?.name ?? '', rounds: ROUNDS, warmup },
)
const rows = lanes.map(({ name, program, inside }, at) => {
  const timing = /** @type {import('./lib/compare.mjs').Timing} */ (timings[at])
  const toMs = (/** @type {number} */ ns) => ns / 1e6
  const { median, p25, p75 } = timing
  return {
    name,
    isEmpty: program.name === EMPTY,
    toFirstHit: spread(inside.slice(warmup)),
    process: { median: toMs(median), p25: toMs(p25), p75: toMs(p75) },
    ratio: timing.ratio,
  }
})
printTable(
  'from the import to the first hit, and the whole process, in ms',
  ['', 'first hit', 'p25', 'p75', 'process', 'p25', 'p75', `x ${EMPTY}`],
  rows.map(({ name, toFirstHit, process, ratio }) => [
    name,
    ...[toFirstHit.median, toFirstHit.p25, toFirstHit.p75].map(digits),
    ...[process.median, process.p25, process.p75, ratio.median].map(digits),
  ]),
)

/**
 * The bytes of the files below a folder, without the packages installed in it.
 *
 * @param {string} folder
 * @returns {number}
 */
function bytesBelow(folder) {
  return readdirSync(folder, { withFileTypes: true })
    .filter(({ name }) => name !== 'node_modules')
    .map((entry) => path.join(folder, entry.name))
    .reduce((sum, file) => {
      const stat = statSync(file)
      return sum + (stat.isDirectory() ? bytesBelow(file) : stat.size)
    }, 0)
}

/** What this package has where it is installed. */
function ownBytes() {
  const binaries = readdirSync(path.join(root, 'native')).filter((name) => name.endsWith('.node'))
  assert.equal(binaries.length, 1, 'there must be one native binary')
  const files = ['package.json', 'README.md', 'LICENSE', 'native/binding.js', `native/${binaries[0]}`]
  return files.reduce(
    (sum, file) => sum + statSync(path.join(root, file)).size,
    bytesBelow(path.join(root, 'dist')),
  )
}

/**
 * A package and all that it depends on, as far as they are installed.
 *
 * @param {string} name
 * @param {string} [folder]
 * @param {Map<string, string>} [found] Folders and their packages.
 */
function closureOf(name, folder = folderOf(name), found = new Map()) {
  if (found.has(folder) || !existsSync(folder)) return found
  found.set(folder, name)
  const { dependencies, optionalDependencies } = manifestOf(folder)
  for (const each of Object.keys({ ...dependencies, ...optionalDependencies })) {
    const nested = path.join(folder, 'node_modules', each)
    closureOf(each, existsSync(nested) ? nested : folderOf(each), found)
  }
  return found
}

const installed = usable.flatMap(({ of }) => {
  if (of === undefined) return []
  const packages = [...closureOf(of)].map(([folder, name]) => ({
    name,
    bytes: folder === root ? ownBytes() : bytesBelow(folder),
  }))
  return { name: of, bytes: packages.reduce((sum, { bytes }) => sum + bytes, 0), packages }
})
printTable(
  'installed, with all dependencies',
  ['', 'KiB', 'packages'],
  installed.map(({ name, bytes, packages }) => [name, (bytes / 1024).toFixed(0), `${packages.length}`]),
)

writeReport({
  name: 'startup',
  question: 'How long until the first hit, and how much is installed?',
  packages: usable.flatMap(({ of }) => of ?? []),
  notes,
  results: {
    unit: 'ms',
    startup: rows.map(({ isEmpty, ...row }) => row),
    installed,
  },
  panels: [
    {
      kind: 'bars',
      title: 'from the import to the first hit: ms, median and p25 to p75',
      bars: rows.filter(({ isEmpty }) => !isEmpty).map(({ name, toFirstHit }) => bar(name, toFirstHit)),
    },
    {
      kind: 'bars',
      title: 'the whole process: ms, median and p25 to p75',
      bars: rows.map(({ name, process }) => bar(name, process)),
    },
    {
      kind: 'bars',
      title: 'installed: KiB',
      bars: installed.map(({ name, bytes }) => ({ name, value: bytes / 1024 })),
    },
  ],
})
