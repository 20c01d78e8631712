import { execFile } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { available, startServer } from '../../scripts/servers.mjs'
import type { Server } from '../support/redis.js'

const run = promisify(execFile)
const root = path.join(__dirname, '../..')
const pages = ['.', 'docs'].flatMap((folder) =>
  readdirSync(path.join(root, folder))
    .filter((name) => name.endsWith('.md'))
    .map((name) => path.posix.join(folder, name)),
)
const written: string[] = []

/** Puts a program where it can import the package by its name. */
function place(text: string, name: string): string {
  const file = path.join(root, `paper-${process.pid}-${written.length}.${name}`)
  writeFileSync(file, text)
  written.push(file)
  return file
}

afterAll(() => {
  for (const file of written) rmSync(file, { force: true })
})

/** The programs of a page, each with the title over it and what the page says that it prints. */
function programs(page: string): { title: string; kind: string; text: string; prints: string | undefined }[] {
  const markdown = readFileSync(path.join(root, page), 'utf8')
  const found = markdown.matchAll(
    /```(js|js vitest|js redis)\n(import [\s\S]*?)```\n(?:\n```text\n([\s\S]*?)```)?/g,
  )
  return [...found].map(({ index, 1: kind = '', 2: text = '', 3: prints }) => {
    const titles = [...markdown.slice(0, index).matchAll(/^#+ (.*)$/gm)]
    return { title: `${page}: ${titles.at(-1)?.[1]}`, kind, text, prints }
  })
}

const all = pages.flatMap(programs)

describe('the programs of the papers do what they say', () => {
  it.each(all.filter(({ kind }) => kind === 'js'))('$title', async ({ text, prints }) => {
    const { stdout } = await run(process.execPath, [place(text, 'mjs')], { timeout: 25_000, cwd: root })
    expect(stdout.trim()).toBe((prints ?? '').trim())
  })

  it.each(all.filter(({ kind }) => kind === 'js vitest'))('$title', async ({ text }) => {
    const file = place(text, 'test.mjs')
    const vitest = path.join(root, 'node_modules/vitest/vitest.mjs')
    const config = place(`export default { test: { include: ['${path.basename(file)}'] } }`, 'mjs')
    const { stdout } = await run(process.execPath, [vitest, 'run', '--config', config], {
      timeout: 25_000,
      cwd: root,
      env: { ...process.env, NO_COLOR: '1' },
    })
    expect(stdout).toMatch(/Tests {2}\d+ passed/)
  })

  const [kind] = available().map((each) => each.kind)
  describe.skipIf(kind === undefined)(`beside ${kind ?? 'a server of Redis, which is not available'}`, () => {
    let server: Server

    beforeAll(async () => {
      server = await startServer(kind as NonNullable<typeof kind>, { port: 0 })
    })
    afterAll(() => server?.stop())

    it.each(all.filter((program) => program.kind === 'js redis'))('$title', async ({ text, prints }) => {
      const { stdout } = await run(process.execPath, [place(text, 'mjs')], {
        timeout: 25_000,
        cwd: root,
        env: { ...process.env, REDIS_URL: `redis://127.0.0.1:${server.port}` },
      })
      expect(stdout.trim()).toBe((prints ?? '').trim())
    })
  })

  it('none is left out', () => {
    const blocks = pages.flatMap(
      (page) => readFileSync(path.join(root, page), 'utf8').match(/^```(js|ts)/gm) ?? [],
    )
    expect(all.length).toBe(blocks.length)
    expect(all.length).toBeGreaterThanOrEqual(12)
  })
})

describe('the links of the papers', () => {
  it.each(pages)('of %s lead somewhere', (page) => {
    const markdown = readFileSync(path.join(root, page), 'utf8')
    const links = [...markdown.matchAll(/\]\(([^)#]+)(?:#[^)]*)?\)/g)].map(([, link = '']) => link)
    const broken = links
      .filter((link) => !/^[a-z]+:/.test(link))
      .filter((link) => !existsSync(path.join(root, path.dirname(page), link)))
    expect(broken).toEqual([])
  })
})
