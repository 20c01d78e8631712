/** A thread that uses the caches of its process, and ends as it is told or is ended. */

import { workerData } from 'node:worker_threads'
import { randomFrom } from './random.mjs'

const { name, seed, ending, calls, idle } = workerData
const random = randomFrom(seed)

if (!idle) {
  const { Cache } = await import('sark-cache')
  const { use } = await import('./use-cache.mjs')
  const shared = new Cache({ name, max: 1_000 })
  // Never closed: it has to go with its thread.
  const own = new Cache({ max: 5_000 })
  for (let n = 0; n < 250; n++) own.set(`${n}`, 'x'.repeat(4_000))
  // A load that is under way when the thread ends.
  shared.getOrSet('never', () => new Promise(() => {})).catch(() => {})
  use(shared, random, calls)
  if (ending === 'close') {
    own.close()
    shared.close()
  }
}
if (ending === 'exit') process.exit(17)
if (ending === 'throw') throw new Error('the worker threw')
if (ending === 'terminate') setInterval(() => {}, 1_000)
