import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { installAll, type Project } from './helpers/project.js'
import { runScript } from './helpers/run.js'
import { nodes, type Runtime } from './helpers/runtimes.js'

/** Other seeds find other moments; a failure names its own. */
const SEED = Number(process.env.SARK_STRESS_SEED ?? 1)
const WORKERS = Number(process.env.SARK_STRESS_WORKERS ?? 1_000)

/** MB that resident memory may grow by over the last three quarters of a storm; each worker holds 1 MB. */
const MOST_GROWTH = 60

/** Ms after which a process counts as hung. */
const LIMIT = 240_000

let project: Project
beforeAll(async () => {
  project = await installAll()
})
afterAll(() => project.remove())

const used = nodes.filter(({ name }) => !name.endsWith('22'))

async function storm(node: Runtime, workers: number, together: number, mode: 'main' | 'lone') {
  const ended = await runScript(
    node,
    ['--expose-gc', 'storm.mjs', ...[SEED, workers, together].map(String), mode],
    { cwd: project.folder, limit: LIMIT, env: { SARK_CACHE_ENGINE: 'rust' } },
  )
  expect({ code: ended.code, signal: ended.signal, err: ended.err }).toEqual({
    code: 7,
    signal: null,
    err: '',
  })
  const found: { ended: Record<string, number>; memory: number[] } = JSON.parse(ended.out)
  process.stdout.write(
    `${node.name}: ${workers} workers (${mode}, ${together} at a time) in ${Math.round(ended.ms)} ms, ` +
      `resident MB ${found.memory.join(' ')}\n`,
  )
  return found
}

describe.each(used)('on $name', (node) => {
  it(`${WORKERS} workers, four at a time, end at random moments and leave nothing`, {
    timeout: LIMIT,
  }, async () => {
    const { ended, memory } = await storm(node, WORKERS, 4, 'main')
    expect(Object.values(ended).reduce((sum, count) => sum + count)).toBe(WORKERS)
    const warm = memory[Math.floor(memory.length / 4)] as number
    expect(Math.max(...memory) - warm).toBeLessThan(MOST_GROWTH)
  })

  it('workers that load the addon one after another, and nobody else', { timeout: LIMIT }, async () => {
    const { memory } = await storm(node, Math.max(200, WORKERS / 5), 1, 'lone')
    expect(Math.max(...memory) - (memory[1] as number)).toBeLessThan(MOST_GROWTH)
  })

  it.each([
    ['exits', 41, ''],
    ['exitsFromLoad', 42, ''],
    ['exitsFromCallback', 43, ''],
    ['throws', 1, 'Error: mine'],
    ['rejects', 1, 'Error: mine'],
    ['workerThrows', 1, 'Error: the worker threw'],
    ['endsByItself', 45, ''],
    ['endsAfterItsWorkers', 46, ''],
  ])('a process that %s in mid-use keeps its own code', async (how, code, said) => {
    for (let round = 0; round < 5; round++) {
      const seed = SEED * 1_000 + round
      const ended = await runScript(node, ['ending.mjs', `${seed}`, how], { cwd: project.folder })
      expect({ seed, code: ended.code, signal: ended.signal }).toEqual({ seed, code, signal: null })
      expect(ended.err).toContain(said)
      if (said === '') expect(ended.err).toBe('')
    }
  })

  it.skipIf(process.platform === 'win32').each([
    ['isKilled', null, 'SIGTERM'],
    ['answersSigterm', 44, null],
  ] as const)('a process that %s', async (how, code, signal) => {
    for (let round = 0; round < 5; round++) {
      const child = spawn(node.command, ['ending.mjs', `${SEED * 1_000 + round}`, how], {
        cwd: project.folder,
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      const hung = setTimeout(() => child.kill('SIGKILL'), 30_000)
      const exited = once(child, 'exit')
      await once(child.stdout, 'data')
      await new Promise((resolve) => setTimeout(resolve, round * 40))
      child.kill('SIGTERM')
      expect(await exited).toEqual([code, signal])
      clearTimeout(hung)
    }
  })
})
