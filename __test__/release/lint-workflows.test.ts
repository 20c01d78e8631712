import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { runCommand } from './helpers/run.js'

const root = path.join(__dirname, '../..')

describe('the linter of workflows', () => {
  let folder: string
  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'sark-cache-'))
  })
  afterEach(() => rmSync(folder, { recursive: true }))

  it('finds nothing in the workflows, and what is wrong in others', async () => {
    const lint = (...args: string[]) =>
      runCommand(process.execPath, ['scripts/lint-workflows.mjs', ...args], { cwd: root })
    expect(await lint()).toMatchObject({ code: 0, err: '' })
    const good = readFileSync(path.join(root, '.github/workflows/release.yml'), 'utf8')
    for (const [from, to] of [
      ['needs: ci', 'needs: nobody'],
      ['runs-on: ubuntu-24.04', 'runs-on: ubuntu-9.04'],
      ['github.ref_type', 'github.ref_typo'],
    ] as const) {
      writeFileSync(path.join(folder, 'bad.yml'), good.replaceAll(from, to))
      expect((await lint(folder)).code, to).toBe(1)
    }
  })
})
