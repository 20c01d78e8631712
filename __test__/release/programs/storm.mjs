/**
 * Starts and ends worker threads at random moments: `storm.mjs SEED WORKERS TOGETHER main|lone|idle`.
 *
 * `main`: the main thread uses the shared cache, too. `lone`: only the workers load the addon, and between any
 * two groups of them no thread has it. `idle`: nobody loads it, to see what the threads alone cost.
 * Prints how they ended and the resident memory along the way; ends by itself with the code 7.
 */

import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { randomFrom } from './random.mjs'

const [seed, workers, together] = process.argv.slice(2, 5).map(Number)
const mode = process.argv[5]
const random = randomFrom(seed)
const name = 'storm'
const ENDINGS = ['terminate', 'terminate', 'terminate', 'return', 'close', 'exit', 'throw']
// A thread that is terminated before its first line ends with 0.
const CODES = { terminate: [0, 1], return: [0], close: [0], exit: [17], throw: [1] }

let shared
let useOnce = () => {}
if (mode === 'main') {
  const { Cache } = await import('sark-cache')
  ;({ useOnce } = await import('./use-cache.mjs'))
  shared = new Cache({ name, max: 1_000 })
}

/** One worker from start to end; throws unless it ended as it should. */
async function oneWorker() {
  const ending = ENDINGS[Math.floor(random() * ENDINGS.length)]
  const calls = ending === 'terminate' && random() < 0.7 ? Infinity : Math.floor(random() * 500)
  const delay = random() * 40
  const early = random() < 0.15
  const workerData = { name, seed: Math.floor(random() * 2 ** 31), ending, calls, idle: mode === 'idle' }
  const worker = new Worker(new URL('./storm-worker.mjs', import.meta.url), { workerData })
  const errors = []
  worker.on('error', (error) => errors.push(error.message))
  const exited = new Promise((resolve) => worker.on('exit', resolve))
  if (ending === 'terminate') {
    if (!early) await once(worker, 'online')
    await sleep(delay * (early ? 0.2 : 1))
    await worker.terminate()
  }
  const code = await exited
  const expected = ending === 'throw' ? ['the worker threw'] : []
  if (!CODES[ending].includes(code) || errors.join() !== expected.join()) {
    throw new Error(`a worker that should ${ending} ended with ${code}: ${errors}`)
  }
  return ending
}

const memory = []
const ended = {}
for (let done = 0; done < workers; done += together) {
  for (const ending of await Promise.all(Array.from({ length: together }, oneWorker))) {
    ended[ending] = (ended[ending] ?? 0) + 1
  }
  if (shared !== undefined) {
    for (let call = 0; call < 100; call++) useOnce(shared, random)
    if (shared.size > 1_000) throw new Error(`${shared.size} entries are more than 1000`)
  }
  if (done % 50 < together) {
    globalThis.gc?.()
    memory.push(Math.round(process.memoryUsage.rss() / 2 ** 20))
  }
}

if (shared !== undefined) {
  shared.clear()
  if (shared.size !== 0 || shared.bytes !== 0) throw new Error('something is left')
  for (let n = 0; n < 1_500; n++) shared.set(`${n}`, { key: `${n}` })
  const held = [...shared]
  if (held.length !== 1_000 || held.some(([key, value]) => value.key !== key))
    throw new Error('it is not whole')
}
process.exitCode = 7
console.log(JSON.stringify({ ended, memory }))
