import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { METRICS } from '../../src/metrics/samples.js'
import { sleep } from '../support/engines.js'

const run = promisify(execFile)
const root = path.join(__dirname, '../..')
const ops = path.join(root, 'ops')

interface Target {
  expr: string
}

interface Panel {
  type: string
  title: string
  datasource?: { uid: string }
  targets?: (Target & { datasource: { uid: string } })[]
}

interface Rule {
  record?: string
  alert?: string
  expr: string
}

const text = readFileSync(path.join(ops, 'dashboard.json'), 'utf8')
const dashboard: { uid: string; panels: Panel[]; templating: { list: { name: string; type: string }[] } } =
  JSON.parse(text)
const panels = dashboard.panels.filter(({ type }) => type !== 'row')
const alerts = readFileSync(path.join(ops, 'alerts.yml'), 'utf8')
const rules: Rule[] = parse(alerts).groups.flatMap((group: { rules: Rule[] }) => group.rules)
const nameOf = ({ record, alert }: Rule) => record ?? (alert as string)

const isThere = (program: string) => spawnSync(program, ['--version']).status === 0
// They take half a minute, and need what few machines have.
const isWanted = process.env.SARK_TEST_PROMETHEUS === 'required'
if (isWanted && !(isThere('prometheus') && isThere('promtool'))) {
  throw new Error('prometheus and promtool are required here (apt-get install prometheus)')
}

describe('the dashboard', () => {
  it('has a uid that stays, and takes its data source from a variable', () => {
    expect(dashboard.uid).toBe('sark-cache')
    // With these, it could not be provisioned.
    expect(text).not.toMatch(/__inputs|__requires/)
    expect(dashboard.templating.list[0]).toMatchObject({ name: 'datasource', type: 'datasource' })
    const sources = panels.flatMap(({ datasource, targets = [] }) => [
      datasource,
      ...targets.map((each) => each.datasource),
    ])
    expect(new Set(sources.map((source) => source?.uid))).toEqual(new Set([`\${datasource}`]))
  })

  it('shows every metric, and asks for none that there is not, as the rules', () => {
    const names = new Set(METRICS.map(({ name }) => name))
    const asked = (source: string) =>
      [...source.matchAll(/(?<![:\w])sark_cache_\w+/g)].map(([name]) =>
        name.replace(/_(bucket|sum|count)$/, ''),
      )
    expect([...asked(text), ...asked(alerts)].filter((name) => !names.has(name))).toEqual([])
    expect([...names].filter((name) => !asked(text).includes(name))).toEqual([])
  })
})

describe.runIf(isWanted)('the rules', () => {
  const promtool = (...args: string[]) => run('promtool', args, { cwd: ops })

  it('are sound, and alert when they should and not before', async () => {
    await promtool('check', 'rules', 'alerts.yml')
    const { stdout } = await promtool('test', 'rules', 'alerts.test.yml')
    expect(stdout).toContain('SUCCESS')
  })

  it.each(rules.filter(({ alert }) => alert !== undefined).map(nameOf))('are tested in %s', async (name) => {
    const folder = mkdtempSync(path.join(tmpdir(), 'sark-cache-rules-'))
    try {
      cpSync(ops, folder, { recursive: true })
      // An alert that always fires, and one that never does.
      for (const expr of ['vector(1)', 'vector(1) > 2']) {
        const changed = parse(alerts)
        for (const rule of changed.groups[0].rules) if (rule.alert === name) rule.expr = expr
        writeFileSync(path.join(folder, 'alerts.yml'), JSON.stringify(changed))
        await expect(run('promtool', ['test', 'rules', 'alerts.test.yml'], { cwd: folder })).rejects.toThrow()
      }
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })
})

describe.runIf(isWanted)('a real Prometheus', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'sark-cache-prometheus-'))
  const processes: ChildProcess[] = []
  let api = ''

  async function freePort(): Promise<number> {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as { port: number }
    server.close()
    await once(server, 'close')
    return port
  }

  /** How many series a query returns; those without a number are none. */
  async function series(query: string): Promise<number> {
    const response = await fetch(`${api}/api/v1/query?${new URLSearchParams({ query })}`)
    const { status, error, data } = (await response.json()) as {
      status: string
      error?: string
      data: { result: { value: [number, string] }[] }
    }
    if (status !== 'success') throw new Error(`${query}: ${error}`)
    return data.result.filter(({ value }) => value[1] !== 'NaN').length
  }

  /** Asks until there is an answer, for a rate needs several scrapes. */
  async function hasData(query: string): Promise<void> {
    for (let tries = 0; tries < 200; tries++) {
      if ((await series(query)) > 0) return
      await sleep(200)
    }
    throw new Error(`no data: ${query}`)
  }

  beforeAll(async () => {
    const service = spawn(process.execPath, [path.join(__dirname, 'programs/service.mjs')], {
      cwd: root,
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    processes.push(service)
    const [printed] = await once(service.stdout, 'data')
    const config = path.join(folder, 'prometheus.yml')
    writeFileSync(
      config,
      JSON.stringify({
        global: { scrape_interval: '500ms', evaluation_interval: '500ms' },
        rule_files: [path.join(ops, 'alerts.yml')],
        scrape_configs: [
          { job_name: 'service', static_configs: [{ targets: [`127.0.0.1:${String(printed).trim()}`] }] },
        ],
      }),
    )
    const port = await freePort()
    const args = [
      `--config.file=${config}`,
      `--storage.tsdb.path=${path.join(folder, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
      '--log.level=error',
    ]
    processes.push(spawn('prometheus', args, { stdio: ['ignore', 'inherit', 'inherit'] }))
    api = `http://127.0.0.1:${port}`
    for (let tries = 0; tries < 150; tries++) {
      const ready = await fetch(`${api}/-/ready`).catch(() => undefined)
      if (ready?.ok) return
      await sleep(200)
    }
    throw new Error('Prometheus does not start')
  }, 60_000)

  afterAll(async () => {
    await Promise.all(
      processes.map(async (each) => {
        if (each.exitCode !== null || each.signalCode !== null) return
        each.kill('SIGKILL')
        await once(each, 'exit')
      }),
    )
    rmSync(folder, { recursive: true, force: true })
  })

  it('scrapes the service without an error', async () => {
    await hasData('up == 1')
    expect(await series('up == 0')).toBe(0)
  })

  it.each(METRICS.map(({ name, type }) => (type === 'histogram' ? `${name}_bucket` : name)))(
    'has %s',
    hasData,
  )

  it.each(panels.map(({ title, targets = [] }) => [title, targets.map(({ expr }) => expr)] as const))(
    'has data for the panel %s',
    async (_, queries) => {
      expect(queries.length).toBeGreaterThan(0)
      for (const query of queries) {
        await hasData(query.replaceAll('$__rate_interval', '5s').replaceAll(/\$(job|cache)\b/g, '.*'))
      }
    },
    60_000,
  )

  it.each(rules.map((rule) => [nameOf(rule), rule.expr] as const))(
    'has data for the rule %s, of a service that is in all the trouble that it tells of',
    async (_, query) => hasData(query),
    60_000,
  )
})
