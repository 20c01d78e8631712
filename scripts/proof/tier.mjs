/**
 * Puts known defects into a copy of the second tier, one at a time, and sees to it that a test fails for each: those of
 * the protocol by its simulation, those of the scripts by the tests against servers.
 */

import { spawn, spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { root } from '../lib.mjs'
import { part } from './part.mjs'

const copy = path.join(root, 'target', 'tier-defects')
const SIMULATION = '__test__/tier/simulation.test.ts'
const FAILOVER = '__test__/tier/failover.test.ts'
const SCRIPTS = '__test__/tier/record.test.ts'

/**
 * What is put in the place of what, in a file of `src/tier`, and the test that must notice.
 *
 * @type {{ name: string, file: string, change: [from: string, to: string][], noticed: string }[]}
 */
const known = [
  {
    name: 'values are served although nothing is heard of changes',
    file: 'follower.ts',
    change: [['confirmed + maxStaleness', 'confirmed + 1e9']],
    noticed: SIMULATION,
  },
  {
    name: 'the lease is extended before the changes are applied',
    file: 'follower.ts',
    change: [
      [
        'if (this.#isClosed || this.#apply(reply, from)) return',
        'control.extend(reply.at[0], confirmed + maxStaleness)\n    await new Promise((resolve) => setTimeout(resolve, 2))\n    if (this.#isClosed || this.#apply(reply, from)) return',
      ],
    ],
    noticed: SIMULATION,
  },
  {
    name: 'a new epoch clears nothing',
    file: 'follower.ts',
    change: [["this.#clear('epoch')", '']],
    noticed: SIMULATION,
  },
  {
    name: 'a gap in the log clears nothing',
    file: 'follower.ts',
    change: [["this.#clear('gap')", '']],
    noticed: SIMULATION,
  },
  {
    name: 'what a server acknowledged that was left behind is not delivered again',
    file: 'follower.ts',
    change: [['if (epoch !== from[0]) control.redeliver(epoch)', '']],
    noticed: FAILOVER,
  },
  {
    name: 'Redis is believed while a change of this process is missing there',
    file: 'reads.ts',
    change: [
      ['(now[PENDING] as number) > 0 || !connection.isUsable', '!connection.isUsable'],
      [' && now[PENDING] === 0', ''],
    ],
    noticed: SIMULATION,
  },
  {
    name: 'what was found is stored whatever changed since it was asked for',
    file: 'reads.ts',
    change: [
      ['freshUntil - time, fence, tags, grace', 'freshUntil - time, local.engine.fence(), tags, grace'],
    ],
    noticed: SIMULATION,
  },
  {
    name: 'a copy of Redis lives its whole life again',
    file: 'reads.ts',
    change: [['began + reply.left - reply.grace', 'this.now() + reply.ttl']],
    noticed: SIMULATION,
  },
  {
    name: 'a load is waited for, however old, while nothing is heard of changes',
    file: 'reads.ts',
    change: [
      ['return this.isHeld || this.now() - began < this.#parts.settings.maxStaleness', 'return began >= 0'],
    ],
    noticed: FAILOVER,
  },
  {
    name: 'what is kept while suspended is kept for its whole life',
    file: 'suspended.ts',
    change: [['Math.min(left, this.#maxStaleness - age)', 'left']],
    noticed: SIMULATION,
  },
  {
    name: 'a change is not applied again once it was acknowledged',
    file: 'changes.ts',
    change: [
      [
        'await this.#send(names, [])\n    // Somebody may have read, meanwhile, what Redis had before.\n    this.#apply(names)',
        'await this.#send(names, [])',
      ],
    ],
    noticed: SIMULATION,
  },
  {
    name: 'a value is stored over a change that came before it',
    file: 'changes.ts',
    change: [
      [
        'const isAlone = reply.at[0] === seen[0] && reply.before <= seen[1]',
        'const isAlone = reply.before >= 0',
      ],
    ],
    noticed: SIMULATION,
  },
  {
    name: 'a reply of an epoch that was left behind is believed',
    file: 'connection.ts',
    change: [
      [
        'if (this.#host.control.saw(...reply.at)) return',
        'this.#host.control.saw(...reply.at)\n      if (reply.at[0] >= 0) return',
      ],
    ],
    noticed: FAILOVER,
  },
  {
    name: 'nobody asks whether the server is still the one that was attached to',
    file: 'connection.ts',
    change: [
      [
        'const check = sent - this.#checkedAt >= this.#host.checkEvery',
        'const check = sent < 0\n    this.#checkedAt = sent',
      ],
    ],
    noticed: FAILOVER,
  },
  {
    name: 'an entry is believed without its proof',
    file: 'scripts.ts',
    change: [['ok=eg==g and es>=low and es<=now', 'ok=true']],
    noticed: SCRIPTS,
  },
  {
    name: 'the names of an entry are not compared',
    file: 'scripts.ts',
    change: [["local y=redis.call('HMGET',KEYS[2],unpack(t))", 'local y={}']],
    noticed: SCRIPTS,
  },
  {
    name: 'the floor is not looked at',
    file: 'scripts.ts',
    change: [['ok=eg==g and es>=low and es<=now', 'ok=eg==g and es<=now']],
    noticed: SCRIPTS,
  },
  {
    name: 'the older generation of the record is not looked at',
    file: 'scripts.ts',
    change: [["local y=redis.pcall('HMGET',KEYS[3],unpack(t))", 'local y={} y[n+2]=h[1]']],
    noticed: SCRIPTS,
  },
  {
    name: 'a server is who it was whatever history its data has',
    file: 'scripts.ts',
    change: [['local id=a..b', 'local id=a']],
    noticed: SCRIPTS,
  },
  {
    name: 'a record that was rolled back is taken for the one that was seen',
    file: 'scripts.ts',
    change: [['or (g==g0 and s<s0)', '']],
    noticed: SCRIPTS,
  },
]

/** @param {string} test @param {number} seeds */
function passes(test, seeds) {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [path.join(root, 'node_modules/vitest/vitest.mjs'), 'run', '--root', copy, test],
    {
      cwd: copy,
      encoding: 'utf8',
      timeout: 900_000,
      maxBuffer: 2 ** 26,
      env: { ...process.env, SARK_TEST_SEEDS: String(seeds), CI: '1', NO_COLOR: '1' },
    },
  )
  const output = `${stdout}${stderr}`
  return {
    passed: status === 0,
    why: /AssertionError: ([^\n]{0,160})/.exec(output)?.[1] ?? output.slice(-300),
  }
}

/** Runs the simulation of the tier through `SARK_TEST_SEEDS` courses of events, both shapes at a time. */
export async function simulation() {
  const seeds = process.env.SARK_TEST_SEEDS ?? '10000'
  const shapes = ['dense', 'sparse'].map((shape) => {
    const child = spawn('npx', ['--no-install', 'vitest', 'run', SIMULATION, '--testNamePattern', shape], {
      cwd: root,
      stdio: 'inherit',
      env: { ...process.env, SARK_TEST_SEEDS: seeds },
    })
    return new Promise((resolve) => child.on('close', resolve))
  })
  const codes = await Promise.all(shapes)
  if (codes.some((code) => code !== 0)) process.exit(1)
  console.log(`${seeds} courses of events, and no promise broken`)
}

/**
 * `SARK_CACHE_DEFECTS` chooses those of which the name has this in it, or a part of them such as `1/3`; `SARK_TEST_SEEDS` says how many courses of
 * events the simulation takes.
 *
 * @returns {undefined}
 */
export function tierDefects() {
  const seeds = Number(process.env.SARK_TEST_SEEDS ?? 2_000)
  const defects = part(known)
  rmSync(copy, { recursive: true, force: true })
  mkdirSync(copy, { recursive: true })
  for (const name of ['src', '__test__', 'scripts', 'package.json', 'tsconfig.json', 'native']) {
    cpSync(path.join(root, name), path.join(copy, name), { recursive: true })
  }
  writeFileSync(path.join(copy, 'vitest.config.ts'), 'export default {}\n')
  for (const test of new Set(defects.map(({ noticed }) => noticed))) {
    const { passed, why } = passes(test, 20)
    if (!passed) throw new Error(`without a defect ${test} fails: ${why}`)
  }
  let missed = 0
  for (const { name, file, change, noticed } of defects) {
    const place = path.join(copy, 'src', 'tier', file)
    const sound = readFileSync(place, 'utf8')
    let text = sound
    for (const [from, to] of change) {
      if (!text.includes(from))
        throw new Error(`${name}: the code in ${file} is no longer what the defect replaces`)
      text = text.replace(from, () => to)
    }
    writeFileSync(place, text)
    const { passed, why } = passes(noticed, seeds)
    writeFileSync(place, sound)
    if (passed) missed++
    console.log(`${passed ? 'MISSED' : 'noticed'}: ${name}${passed ? '' : ` (${why})`}`)
  }
  console.log(`${defects.length - missed} of ${defects.length} known defects of the tier were noticed`)
  if (missed > 0) process.exit(1)
  return undefined
}
