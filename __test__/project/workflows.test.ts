import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { notesOf } from '../../scripts/release/notes.mjs'
import { manifest, platforms } from '../../scripts/release/targets.mjs'
import { GLIBC_FLOOR } from '../../scripts/release/verify.mjs'

const folder = path.join(__dirname, '../../.github/workflows')
const sources = new Map(
  readdirSync(folder).map((name) => [name, readFileSync(path.join(folder, name), 'utf8')]),
)

interface Row {
  target: string
  runner: string
  zig?: string
}

interface Step {
  uses?: string
  run?: string
  if?: string
  with?: Record<string, string>
}

interface Job {
  if?: string
  environment?: string
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
    for (const { target, runner, zig } of matrixOf('build').include ?? []) {
      const { os, cpu, libc } = platforms.find((platform) => platform.target === target) ?? {}
      expect(osOf(runner), target).toBe(os)
      if (os !== 'linux') expect([cpuOf(runner), zig], target).toEqual([cpu, undefined])
      else expect(zig, target).toBe(libc === 'musl' ? target : `${target}.${GLIBC_FLOOR}`)
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
        if (job.permissions === undefined) continue
        expect(job.permissions, id).toEqual(
          { publish: { contents: 'read', 'id-token': 'write' }, announce: { contents: 'write' } }[id],
        )
      }
    }
    expect([...sources.values()].join()).not.toContain('secrets.')
  })

  it('publishes only what was tested, staged and checked, and says where it was built', () => {
    const { publish, ci: called } = release
    expect(called?.uses).toBe('./.github/workflows/ci.yml')
    expect(publish?.needs).toBe('ci')
    expect(publish?.if).toBe("github.ref_type == 'tag'")
    const commands = (publish?.steps ?? []).flatMap(({ run }) => run ?? [])
    const order = ['--is-ancestor "$GITHUB_SHA" origin/main', 'verify.mjs', 'publish.mjs --provenance']
    const places = order.map((part) => commands.findIndex((command) => command.endsWith(part)))
    expect(places.every((place) => place >= 0)).toBe(true)
    expect(places).toEqual(places.toSorted((a, b) => a - b))
  })

  it('is rehearsed with the same steps, and neither the environment nor a right of the publication', () => {
    const { publish, rehearse } = release
    expect(rehearse).toMatchObject({ needs: publish?.needs, if: "github.ref_type != 'tag'" })
    expect([rehearse?.environment, rehearse?.permissions]).toEqual([undefined, undefined])
    const scripts = (job: Job | undefined) =>
      (job?.steps ?? []).flatMap(
        ({ run }) => run?.match(/scripts\/release\/(verify|publish)\.mjs/)?.[1] ?? [],
      )
    expect(scripts(rehearse)).toEqual(scripts(publish))
    expect((rehearse?.steps ?? []).filter((step) => step.uses).map((step) => step.with?.name)).toEqual(
      (publish?.steps ?? []).filter((step) => step.uses).map((step) => step.with?.name),
    )
  })

  it('installs what the lock says, and runs no script of a dependency', () => {
    const commands = steps.flatMap(({ run }) => run?.split('\n') ?? [])
    const installs = commands.filter((line) => /\bnpm (ci|install|i)\b/.test(line))
    expect(installs.length).toBeGreaterThan(4)
    expect(installs.filter((line) => !line.includes('--ignore-scripts'))).toEqual([])
    // A publication needs no dependency at all.
    const publishing = (release.publish?.steps ?? []).flatMap(({ run }) => run ?? []).join('\n')
    expect(publishing).not.toMatch(/\bnpm (ci|install|i)\b/)
  })

  it('fails where a test would be skipped for want of the native engine', () => {
    expect(parse(sources.get('ci.yml') ?? '').env.SARK_TEST_NATIVE).toBe('required')
    const docker = (ci.alpine?.steps ?? []).flatMap(({ run }) => run ?? []).join()
    expect(docker).toContain('--env SARK_TEST_NATIVE')
  })

  it('keeps the release that it staged, under the name that the publication asks for', () => {
    const named = (job: Job | undefined, action: string) =>
      (job?.steps ?? []).find(({ uses }) => uses?.includes(action))?.with
    const kept = named(ci.stage, 'upload-artifact')
    expect(kept).toMatchObject({ name: 'release', path: 'artifacts/stage' })
    for (const job of [release.publish, release.rehearse]) {
      expect(named(job, 'download-artifact')).toMatchObject({ name: kept?.name, path: kept?.path })
    }
  })

  it('announces a version with its section of the changelog', () => {
    const changelog = readFileSync(path.join(__dirname, '../../CHANGELOG.md'), 'utf8')
    expect(notesOf(changelog, manifest.version)).toMatch(/\w/)
    expect(notesOf('# C\n\n## 2.0.0\n\ntwo\n\n## 1.0.0\n\none\n', '2.0.0')).toBe('two')
    expect(notesOf('## 2.0.0-1\n\ntwo\n', '2.0.0')).toBeUndefined()
  })

  it('runs no script that is not there', () => {
    const { scripts } = JSON.parse(readFileSync(path.join(__dirname, '../../package.json'), 'utf8'))
    const commands = steps.flatMap(({ run }) => run ?? []).join('\n')
    const named = [...commands.matchAll(/npm run ([\w:]+)/g)].map((match) => match[1] as string)
    expect(named.filter((name) => scripts[name] === undefined)).toEqual([])
    expect(named.length).toBeGreaterThan(5)
    const files = [...commands.matchAll(/node (scripts\/[\w/.-]+)/g)].map((match) => match[1] as string)
    for (const file of files) expect(readFileSync(path.join(__dirname, '../..', file), 'utf8')).not.toBe('')
  })
})
