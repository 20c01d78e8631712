import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { platforms } from '../scripts/release/targets.mjs'

const folder = path.join(__dirname, '../.github/workflows')
const sources = new Map(
  readdirSync(folder).map((name) => [name, readFileSync(path.join(folder, name), 'utf8')]),
)

interface Row {
  target: string
  runner: string
  cross?: string
}

interface Step {
  uses?: string
  run?: string
}

interface Job {
  needs?: string | string[]
  'runs-on'?: string
  permissions?: Record<string, string>
  'timeout-minutes'?: number
  uses?: string
  steps?: Step[]
  strategy?: { matrix: { node?: number[]; target?: string[]; include?: Row[] } }
}

function jobsOf(name: string): Record<string, Job> {
  return parse(sources.get(name) ?? '').jobs
}

const ci = jobsOf('ci.yml')
const release = jobsOf('release.yml')
const targets = platforms.map(({ target }) => target).toSorted()

function matrixOf(job: string) {
  const matrix = ci[job]?.strategy?.matrix
  if (matrix === undefined) throw new Error(`${job} has no matrix`)
  return matrix
}

/** The processor of a runner, by its label. */
function cpuOf(runner: string): string {
  if (/-arm$|^macos-\d+$/.test(runner)) return 'arm64'
  return 'x64'
}

/** The system of a runner, by its label. */
function osOf(runner: string): string {
  if (runner.startsWith('macos')) return 'darwin'
  return runner.startsWith('windows') ? 'win32' : 'linux'
}

describe('the targets of package.json', () => {
  it('are those that are built, each once', () => {
    const { include = [] } = matrixOf('build')
    expect(include.map(({ target }) => target).toSorted()).toEqual(targets)
  })

  it('are those that are tested, each in one job', () => {
    const tested = ['test', 'alpine', 'armv7'].flatMap((job) => matrixOf(job).target ?? [])
    expect(tested.toSorted()).toEqual(targets)
  })

  it.each(['test', 'alpine'])('run on a runner of their own system and processor in %s', (job) => {
    const { target = [], include = [] } = matrixOf(job)
    expect(include.map((row) => row.target)).toEqual(target)
    for (const row of include) {
      const { os, cpu, libc } = platforms.find((platform) => platform.target === row.target) ?? {}
      expect([osOf(row.runner), cpuOf(row.runner)], row.target).toEqual([os, cpu])
      expect(libc === 'musl').toBe(job === 'alpine')
    }
  })

  it('are built by what can build them', () => {
    for (const { target, runner, cross } of matrixOf('build').include ?? []) {
      const { os, cpu, libc } = platforms.find((platform) => platform.target === target) ?? {}
      expect(osOf(runner), target).toBe(os)
      if (os !== 'linux') expect([cpuOf(runner), cross], target).toEqual([cpu, undefined])
      else expect(cross, target).toBe(libc === 'musl' ? '--cross-compile' : '--use-napi-cross')
    }
  })

  it.each([
    ['test', [20, 22, 24, 26]],
    ['alpine', [20, 22, 24, 26]],
    ['armv7', [20, 22]],
  ])('are tested on every Node.js in %s', (job, nodes) => {
    expect(matrixOf(job).node).toEqual(nodes)
  })
})

describe('a workflow', () => {
  const steps = [...sources.keys()].flatMap((name) =>
    Object.values(jobsOf(name)).flatMap((job) => job.steps ?? []),
  )

  it('uses actions by commit, with the version beside it', () => {
    const uses = [...sources.values()].flatMap((source) => source.match(/uses: .*/g) ?? [])
    const pinned = /^uses: [\w-]+\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/
    expect(uses.filter((line) => !line.startsWith('uses: ./') && !pinned.test(line))).toEqual([])
    expect(uses.length).toBeGreaterThan(10)
    // One commit for an action everywhere.
    const commits = new Set(uses.filter((line) => line.includes('@')))
    expect(commits.size).toBe(new Set([...commits].map((line) => line.split('@')[0])).size)
  })

  it('has no more rights than it needs, and no job without an end', () => {
    for (const [name, source] of sources) {
      expect(parse(source).permissions, name).toEqual({ contents: 'read' })
      for (const [id, job] of Object.entries(jobsOf(name))) {
        if (job.uses === undefined) expect(job['timeout-minutes'], id).toBeGreaterThan(0)
        if (job.permissions !== undefined) expect([name, id]).toEqual(['release.yml', 'publish'])
      }
    }
    expect(sources.get('release.yml')).not.toContain('secrets.')
  })

  it('publishes only what was tested, staged and checked, and says where it was built', () => {
    const { publish, ci: called } = release
    expect(called?.uses).toBe('./.github/workflows/ci.yml')
    expect(publish?.needs).toBe('ci')
    expect(publish?.permissions).toEqual({ contents: 'read', 'id-token': 'write' })
    const commands = (publish?.steps ?? []).flatMap(({ run }) => run ?? [])
    const order = ['stage.mjs', 'verify.mjs', 'publish.mjs --provenance']
    const places = order.map((part) => commands.findIndex((command) => command.endsWith(part)))
    expect(places.every((place) => place >= 0)).toBe(true)
    expect(places).toEqual(places.toSorted((a, b) => a - b))
  })

  it('runs no script that is not there', () => {
    const { scripts } = JSON.parse(readFileSync(path.join(__dirname, '../package.json'), 'utf8'))
    const commands = steps.flatMap(({ run }) => run ?? []).join('\n')
    const named = [...commands.matchAll(/npm run ([\w:]+)/g)].map((match) => match[1] as string)
    expect(named.filter((name) => scripts[name] === undefined)).toEqual([])
    expect(named.length).toBeGreaterThan(5)
    const files = [...commands.matchAll(/node (scripts\/[\w/.-]+)/g)].map((match) => match[1] as string)
    for (const file of files) expect(readFileSync(path.join(__dirname, '..', file), 'utf8')).not.toBe('')
  })
})
