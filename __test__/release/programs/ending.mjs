/**
 * A process that ends in mid-use: `ending.mjs SEED HOW`. Three threads and the main one use a cache all the
 * time; how it ends is the name of one of the functions below.
 */

import { Worker } from 'node:worker_threads'
import { Cache, CleanupTask } from 'sark-cache'
import { randomFrom } from './random.mjs'
import { use, useOnce } from './use-cache.mjs'

const seed = Number(process.argv[2])
const how = process.argv[3]
const random = randomFrom(seed)
const shared = new Cache({ name: 'storm', max: 1_000 })
new CleanupTask(shared, { interval: 1, sliceMs: 1 }).start()

function startWorkers(ending = 'terminate', calls = Infinity) {
  return Array.from({ length: 3 }, (_, at) => {
    const workerData = { name: 'storm', seed: seed + at, ending, calls, idle: false }
    return new Worker(new URL('./storm-worker.mjs', import.meta.url), { workerData })
  })
}

/** Uses the cache for a random time, the event loop turning or not. */
async function work(most = 250) {
  const end = performance.now() + random() * most
  while (performance.now() < end) {
    use(shared, random, 50)
    if (random() < 0.3) await new Promise((resolve) => setImmediate(resolve))
  }
}

const endings = {
  async exits() {
    startWorkers()
    await work()
    process.exit(41)
  },
  async exitsFromLoad() {
    startWorkers()
    await work()
    await shared.getOrSet('mine', () => process.exit(42))
  },
  async exitsFromCallback() {
    startWorkers()
    await work()
    // `toJSON` runs in the middle of `set`.
    shared.set('k', { toJSON: () => process.exit(43) })
  },
  async throws() {
    startWorkers()
    await work()
    setImmediate(() => {
      useOnce(shared, random)
      throw new Error('mine')
    })
  },
  async rejects() {
    startWorkers()
    await work()
    Promise.reject(new Error('mine'))
  },
  async workerThrows() {
    startWorkers('throw', 200)
    await work()
    setInterval(() => useOnce(shared, random), 1)
  },
  async isKilled() {
    startWorkers()
    console.log('started')
    for (;;) await work()
  },
  async answersSigterm() {
    process.on('SIGTERM', () => process.exit(44))
    startWorkers()
    console.log('started')
    for (;;) {
      await work()
      await new Promise((resolve) => setImmediate(resolve))
    }
  },
  async endsByItself() {
    for (const worker of startWorkers('terminate', Infinity)) worker.unref()
    await work()
    process.exitCode = 45
  },
  async endsAfterItsWorkers() {
    startWorkers('return', 300)
    await work()
    process.exitCode = 46
  },
}

await endings[how]()
