/**
 * Runs a job of the workflows on this machine, step by step as its file has them, in a fresh clone with
 * `core.autocrlf=true`: `node scripts/release/rehearse.mjs WORKFLOW JOB [TARGET] [--npm 10] [--zig TARGET]
 * [--placeholders] [--skip COMMAND]`.
 *
 * Artifacts go to and come from `artifacts/rehearsal`. Steps that install Rust are left out, for they would
 * change this machine's toolchain; its own must have the target. `--zig` builds with Zig what a runner of
 * another system builds with its own linker. With `--placeholders`, a release is staged and checked without
 * the binaries that are not there. `--skip` leaves the step of this command out.
 */

import { spawnSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { parse } from 'yaml'
import { root, run } from '../lib.mjs'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    npm: { type: 'string' },
    zig: { type: 'string' },
    placeholders: { type: 'boolean' },
    skip: { type: 'string' },
  },
})
const [file, id = '', target] = positionals
const workflow = parse(readFileSync(path.join(root, '.github/workflows', `${file}.yml`), 'utf8'))
const job = workflow.jobs[id]
if (job === undefined) throw new Error(`${file}.yml has no job ${id}`)
const row = (job.strategy?.matrix.include ?? []).find((one) => one.target === target)
if (target !== undefined && row === undefined) throw new Error(`${id} has no row for ${target}`)
const matrix = { ...row, ...(values.zig && { zig: values.zig }) }

const store = path.join(root, 'artifacts/rehearsal')
const home = mkdtempSync(path.join(tmpdir(), 'sark-cache-rehearsal-'))
const checkout = path.join(home, 'checkout')
const bin = path.join(home, 'bin')
const temp = path.join(home, 'temp')
const paths = path.join(home, 'paths')
for (const folder of [bin, temp]) mkdirSync(folder)
writeFileSync(paths, '')

/** Puts what the workflow knows in place of `${{ … }}`. */
function filled(text) {
  return String(text).replace(/\$\{\{ *([\w.-]+) *\}\}/g, (_, name) => {
    const [context, key] = name.split('.')
    const known = { matrix, env: workflow.env ?? {} }[context]
    if (known === undefined) throw new Error(`what is ${name}?`)
    return known[key] ?? ''
  })
}

const filledAll = (map = {}) =>
  Object.fromEntries(Object.entries(map).map(([key, text]) => [key, filled(text)]))

/** Whether a step's condition holds; of conditions the jobs that run here have one kind. */
function applies(condition) {
  if (condition === undefined) return true
  const [, key, text] = /^matrix\.(\w+) != '(.*)'$/.exec(condition) ?? []
  if (key === undefined) throw new Error(`is this so? ${condition}`)
  return (matrix[key] ?? '') !== text
}

/** What the actions do, as far as the jobs need it. */
const actions = {
  checkout() {
    run('git', ['clone', '--quiet', '--config', 'core.autocrlf=true', root, checkout], { cwd: home })
  },
  'setup-node'() {
    if (values.npm === undefined) return
    run('npm', ['install', '--prefix', home, '--no-save', '--no-audit', '--no-fund', `npm@${values.npm}`])
    for (const name of ['npm', 'npx']) {
      const cli = path.join(home, 'node_modules/npm/bin', `${name}-cli.js`)
      writeFileSync(path.join(bin, name), `#!/bin/sh\nexec '${process.execPath}' '${cli}' "$@"\n`, {
        mode: 0o755,
      })
    }
  },
  'upload-artifact'({ name, path: places }) {
    const to = path.join(store, name)
    rmSync(to, { recursive: true, force: true })
    const found = places
      .trim()
      .split('\n')
      .flatMap((place) => {
        const [folder, last] = [path.dirname(place), path.basename(place)]
        if (!last.startsWith('*')) return existsSync(path.join(checkout, place)) ? [place] : []
        const names = readdirSync(path.join(checkout, folder)).filter((one) => one.endsWith(last.slice(1)))
        return names.map((one) => path.join(folder, one))
      })
    if (found.length === 0) throw new Error(`there is nothing to keep as ${name}`)
    // As the action does: without what all of them have in front.
    const one = found.length === 1
    for (const place of found) {
      cpSync(path.join(checkout, place), one ? to : path.join(to, path.basename(place)), { recursive: true })
    }
  },
  'download-artifact'({ name, pattern, path: place }) {
    const to = path.join(checkout, place)
    if (name !== undefined) {
      cpSync(path.join(store, name), to, { recursive: true })
      return
    }
    const names = readdirSync(store).filter((one) => one.startsWith(pattern.replace('*', '')))
    for (const one of names) cpSync(path.join(store, one), path.join(to, one), { recursive: true })
  },
}

/** Runs a step's commands as a runner does. */
function runStep(commands, env) {
  const before = readFileSync(paths, 'utf8').split('\n').filter(Boolean)
  const ended = spawnSync('bash', ['--noprofile', '--norc', '-eo', 'pipefail', '-c', commands], {
    cwd: checkout,
    stdio: 'inherit',
    env: {
      ...process.env,
      // What npm tells the scripts it runs, such as this one, is not for those of the job.
      npm_execpath: undefined,
      ...filledAll(workflow.env),
      ...filledAll(job.env),
      ...env,
      CI: 'true',
      RUNNER_TEMP: temp,
      GITHUB_PATH: paths,
      PATH: [...before, bin, process.env.PATH].join(path.delimiter),
    },
  })
  if (ended.status !== 0) {
    console.error(`failed (${ended.signal ?? ended.status}): ${commands}`)
    return false
  }
  return true
}

function rehearse() {
  if (target !== undefined && id === 'build') {
    const added = spawnSync('rustup', ['target', 'add', target], { stdio: 'ignore' })
    if (added.status !== 0) {
      console.log(`skipped: ${id} ${target} (rustup cannot add the target here)`)
      return true
    }
  }
  for (const step of job.steps) {
    if (!applies(step.if)) continue
    const action = /^actions\/([\w-]+)@/.exec(step.uses ?? '')?.[1]
    if (step.uses !== undefined) {
      console.log(`-- ${action}`)
      // The cache only saves time.
      if (action !== 'cache') actions[action](filledAll(step.with))
      continue
    }
    let commands = filled(step.run)
    if (commands.startsWith('rustup toolchain install')) continue
    if (commands.trim() === values.skip) {
      console.log(`-- left out: ${values.skip}`)
      continue
    }
    if (values.placeholders) {
      commands = commands.replace(/(scripts\/release\/(?:stage|verify|publish)\.mjs)/g, '$1 --placeholders')
    }
    console.log(`-- ${commands.trim()}`)
    if (!runStep(commands, filledAll(step.env))) return false
  }
  return true
}

console.log(
  `rehearsing ${[file, id, target].filter(Boolean).join(' ')}${values.npm ? `, with npm ${values.npm}` : ''}`,
)
mkdirSync(store, { recursive: true })
try {
  if (!rehearse()) process.exitCode = 1
} finally {
  rmSync(home, { recursive: true, force: true })
}
