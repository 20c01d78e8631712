import { execFile } from 'node:child_process'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'

const run = promisify(execFile)
const root = path.join(__dirname, '..')

it('the example of the README does what it says', async () => {
  const readme = readFileSync(path.join(root, 'README.md'), 'utf8')
  const example = /```js\n(import [\s\S]*?)```/.exec(readme)?.[1] ?? ''
  expect(example.trim().split('\n').length).toBeLessThanOrEqual(24)
  // Inside the package, where it can import itself by name.
  const file = path.join(root, `readme-example-${process.pid}.mjs`)
  writeFileSync(file, example)
  try {
    const { stdout } = await run(process.execPath, [file], { timeout: 20_000 })
    expect(stdout.trim().split('\n')).toEqual([
      "{ user: 'alice' }",
      "{ id: 1, name: 'Alice' }",
      'undefined',
      '{ allowed: true }',
    ])
  } finally {
    rmSync(file)
  }
})
