import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { Cache } from '../../src/index.js'
import { load } from '../../src/snapshot/snapshot.js'

const folder = mkdtempSync(path.join(tmpdir(), 'sark-snapshot-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const dist = path.join(__dirname, '../../dist')

it('a process that is killed while it dumps leaves a whole file', { timeout: 60_000 }, async () => {
  const file = path.join(folder, 'cache.snap')
  const program = `
    const { Cache } = require(${JSON.stringify(`${dist}/index.js`)})
    const { dump } = require(${JSON.stringify(`${dist}/snapshot/snapshot.js`)})
    const cache = new Cache({ max: 20_000 })
    for (let n = 0; n < 20_000; n++) cache.set('key ' + n, 'value '.repeat(20))
    ;(async () => {
      for (;;) {
        await dump(cache, ${JSON.stringify(file)})
        process.stdout.write('.')
      }
    })()
  `
  let cut = 0
  for (let round = 0; round < 8; round++) {
    const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] })
    await once(child.stdout, 'data')
    await new Promise((resolve) => setTimeout(resolve, 5 * round))
    child.kill('SIGKILL')
    await once(child, 'exit')
    cut = readdirSync(folder).length - 1
    using cache = new Cache<string>({ max: 20_000 })
    expect(await load(cache, file)).toMatchObject({ state: 'complete', loaded: 20_000 })
  }
  // Some were killed amid a dump.
  expect(cut).toBeGreaterThan(0)
})
