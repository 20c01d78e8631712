import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { PROCESSES } from './shapes.mjs'

const program = fileURLToPath(new URL('process.mjs', import.meta.url))

/** Ms that threads may take to be ready, and a process to end. */
const READY_TIMEOUT = 30_000
const END_TIMEOUT = 15_000

/**
 * The processes of a run, and what they tell.
 *
 * @typedef {{ index: number, child: import('node:child_process').ChildProcess, ready: number, isExpectedToEnd: boolean }} Member
 */
export class Fleet {
  /** @type {Member[]} */
  #members = []
  #setup
  #orders = /** @type {Map<number, (done: boolean) => void>} */ (new Map())
  #counts = /** @type {Map<string, Record<string, number>>} */ (new Map())
  #generation = 0
  /** @type {object[]} */
  reports = []
  /** @type {string[]} */
  problems = []

  /** @param {(index: number) => object} setup What a process is told. */
  constructor(setup) {
    this.#setup = setup
  }

  async start() {
    await Promise.all(Array.from({ length: PROCESSES }, (_, index) => this.startOne(index)))
  }

  /** @param {number} index @returns {Promise<void>} */
  startOne(index) {
    const setup = JSON.stringify({ ...this.#setup(index), index })
    const child = fork(program, [setup], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    const generation = ++this.#generation
    /** @type {Member} */
    const member = { index, child, ready: 0, isExpectedToEnd: false }
    this.#members[index] = member
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.problems.push(`process ${index} was not ready in time`)
        resolve()
      }, READY_TIMEOUT)
      child.on('message', (/** @type {any} */ message) => {
        if (message.kind === 'counts') {
          // Each thread counts from zero.
          this.#counts.set(`${generation}:${message.id}`, message.counts)
        } else if (message.kind === 'ready') {
          if (++member.ready < 2) return
          clearTimeout(timer)
          resolve()
        } else if (message.kind === 'done') this.#orders.get(index)?.(message.done)
        else if (message.kind === 'violation' || message.kind === 'error') this.reports.push(message)
      })
      child.on('exit', (code, signal) => {
        clearTimeout(timer)
        resolve()
        if (member.isExpectedToEnd && (code === 0 || signal === 'SIGKILL')) return
        this.problems.push(`process ${index} ended by itself: ${code ?? signal}`)
      })
    })
  }

  /** Has one process do something; says whether it did. @param {number} index @param {unknown} order */
  order(index, order) {
    return new Promise((/** @type {(done: boolean) => void} */ resolve) => {
      const timer = setTimeout(() => resolve(false), 10_000)
      this.#orders.set(index, (done) => {
        clearTimeout(timer)
        resolve(done)
      })
      this.#members[index]?.child.send(/** @type {any} */ (order), () => {})
    })
  }

  /** @param {number} index @param {NodeJS.Signals} signal */
  signal(index, signal) {
    this.#members[index]?.child.kill(signal)
  }

  /** Kills a process and starts another in its place. @param {number} index @param {number} ms */
  async replace(index, ms) {
    const member = /** @type {Member} */ (this.#members[index])
    if (member.child.exitCode !== null || member.child.signalCode !== null) return
    member.isExpectedToEnd = true
    const ended = new Promise((resolve) => member.child.once('exit', resolve))
    member.child.kill('SIGKILL')
    await ended
    await new Promise((resolve) => setTimeout(resolve, ms))
    await this.startOne(index)
  }

  /** Has all end by themselves. */
  async end() {
    await Promise.all(
      this.#members.map(async ({ child, index }) => {
        const member = /** @type {Member} */ (this.#members[index])
        if (child.exitCode !== null || child.signalCode !== null) return
        member.isExpectedToEnd = true
        const ended = new Promise((resolve) => child.once('exit', resolve))
        child.send('end', () => {})
        const timer = setTimeout(() => {
          this.problems.push(`process ${index} did not end by itself`)
          child.kill('SIGKILL')
        }, END_TIMEOUT)
        await ended
        clearTimeout(timer)
      }),
    )
  }

  /** Ends all at once. */
  kill() {
    for (const member of this.#members) {
      member.isExpectedToEnd = true
      member.child.kill('SIGKILL')
    }
  }

  /** What all threads counted together. */
  totals() {
    /** @type {Record<string, number>} */
    const sums = {}
    for (const counts of this.#counts.values()) {
      for (const [name, count] of Object.entries(counts)) sums[name] = (sums[name] ?? 0) + count
    }
    return sums
  }
}
