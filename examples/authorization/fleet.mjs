/** Two processes of two threads each, over Redis: how fast all deny what one has revoked, and what if Redis dies. */

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Directory, GROUPS, writersOf } from './directory.mjs'
import { evaluate } from './evaluator.mjs'
import { startServer } from './redis.mjs'
import { accessPattern, question } from './requests.mjs'

const MAX_STALENESS = 1_000
const THREADS = ['A1', 'A2', 'B1', 'B2']

/** Someone who may write a document only as a member of the group of its writers. */
function findRevocable(directory, ids) {
  for (const id of new Set(ids)) {
    const asked = question(id)
    const decision = evaluate(directory, asked)
    if (decision.allowed && decision.policies.join() === 'group-write') return { id, asked }
  }
  throw new Error('nobody in the directory may write as a member of a group')
}

/** A process that answers calls. */
function open(socket) {
  const child = fork(
    fileURLToPath(new URL('fleet-process.mjs', import.meta.url)),
    [socket, String(MAX_STALENESS)],
    {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    },
  )
  const waiting = new Map()
  let calls = 0
  child.on('message', (/** @type {any} */ { call, result, error }) => {
    const { resolve, reject } = waiting.get(call)
    waiting.delete(call)
    if (error === undefined) resolve(result)
    else reject(new Error(error))
  })
  child.on('exit', () => {
    for (const { reject } of waiting.values()) reject(new Error('a process ended'))
  })
  const call = (message) =>
    new Promise((resolve, reject) => {
      const call = ++calls
      waiting.set(call, { resolve, reject })
      child.send({ call, ...message })
    })
  return { child, call }
}

const ms = (number) => `${number < 10 ? number.toFixed(2) : Math.round(number)} ms`
const at = (sorted, part) => sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))]

/** @param {{ rounds: number, seconds: number }} options */
export async function runFleet({ rounds, seconds }) {
  const server = await startServer()
  if (server === undefined) {
    console.log(
      'There is no redis-server and no valkey-server here. Debian and Ubuntu: apt-get install redis-server;',
    )
    console.log(
      'macOS: brew install redis; or run one of them in a container and put its program into the PATH.',
    )
    return
  }
  const [A, B] = [open(server.socket), open(server.socket)]
  const processes = [A, B]
  const end = () => {
    for (const { child } of processes) child.kill('SIGKILL')
  }
  process.once('exit', end)
  process.once('SIGINT', () => process.exit(130))
  process.once('SIGTERM', () => process.exit(143))

  /** Has a thread of a process do something; `all` has each do it. */
  const ask = (thread, command) => (thread < 2 ? A : B).call({ thread: thread % 2, ...command })
  const all = (command) => Promise.all(THREADS.map((_, thread) => ask(thread, command)))

  const ids = Array.from(accessPattern().ids.slice(0, 20_000))
  const { id, asked } = findRevocable(new Directory(), ids)
  const { user } = asked.query
  const group = writersOf(asked.document)
  const setMember = (is) =>
    Promise.all(processes.map(({ call }) => call({ member: { user: asked.user, group, is } })))

  await all({ command: 'ready' })
  console.log(`${server.program}; processes A and B of two threads each; maxStaleness ${MAX_STALENESS} ms`)
  console.log(
    `\n${user} leaves ${GROUPS[group]}, and joins again, ${rounds} times; A1 calls invalidate({ user: '${user}' })`,
  )
  const delays = THREADS.map(() => /** @type {number[]} */ ([]))
  for (let round = 0; round < rounds; round++) {
    await setMember(true)
    await ask(0, { command: 'invalidate', user })
    await all({ command: 'until', id, allowed: true })
    await setMember(false)
    const denied = all({ command: 'until', id, allowed: false })
    const { began } = await ask(0, { command: 'invalidate', user })
    for (const [thread, { at }] of (await denied).entries()) delays[thread]?.push(at - began)
  }
  for (const [thread, name] of THREADS.entries()) {
    const sorted = /** @type {number[]} */ (delays[thread]).sort((a, b) => a - b)
    console.log(
      `  ${name} denies after   p50 ${ms(at(sorted, 0.5))}   p99 ${ms(at(sorted, 0.99))}   (from the call on)`,
    )
  }

  await setMember(true)
  await ask(0, { command: 'invalidate', user })
  await all({ command: 'until', id, allowed: true })
  console.log('\nRedis is killed (SIGKILL)')
  await server.kill()
  const serving = all({ command: 'serve', ids, ms: seconds * 1e3, watched: id })
  await setMember(false)
  const { began, ended, code } = await ask(0, { command: 'invalidate', user })
  console.log(`  ${user} leaves again: A1's invalidate ${code ?? 'resolved'}, after ${ms(ended - began)}`)
  const told = await serving
  for (const [thread, { served, failed, lastAllowed, sources }] of told.entries()) {
    const last =
      lastAllowed === undefined || lastAllowed < began ? 'at once' : `after ${ms(lastAllowed - began)}`
    const from = Object.entries(sources).map(([source, count]) => `${source} ${count}`)
    console.log(
      `  ${THREADS[thread]} answered ${served} requests, ${failed} failed (${from.join(', ')}); denied ${user} ${last}`,
    )
  }
  const health = await ask(2, { command: 'health' })
  console.log(`  B: ${health.status}, ${(await ask(0, { command: 'health' })).pending} change pending in A`)

  await server.start()
  const back = performance.now()
  const after = all({ command: 'serve', ids, ms: seconds * 1e3, watched: id })
  await all({ command: 'ready' })
  console.log(`\nRedis is back, with nothing in it: all are ready after ${ms(performance.now() - back)}`)
  const results = await after
  const old = results.reduce((sum, { allowed }) => sum + allowed, 0)
  const failed = [...told, ...results].reduce((sum, { failed }) => sum + failed, 0)
  // What was acknowledged shortly before is delivered again, too: the server has lost it.
  let { pending } = await ask(0, { command: 'health' })
  for (let tries = 0; pending > 0 && tries < 100; tries++) {
    await sleep(50)
    pending = (await ask(0, { command: 'health' })).pending
  }
  console.log(
    `  ${old} requests were answered by what was revoked, ${failed} failed; ${pending} changes pending`,
  )
  await all({ command: 'until', id, allowed: false, ms: 1_000 })

  await all({ command: 'close' })
  await Promise.all(
    processes.map(({ child }) => {
      const exit = once(child, 'exit')
      child.disconnect()
      return exit
    }),
  )
  process.off('exit', end)
  await server.kill()
  const late = told.some(({ lastAllowed = 0 }) => lastAllowed - ended > MAX_STALENESS)
  if (old > 0 || failed > 0 || late || pending > 0) {
    console.error('a revoked permission was granted, or a request failed')
    process.exitCode = 1
  }
}
