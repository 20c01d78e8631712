/** A thread of the smoke test: says what it sees of the main thread's cache, and writes to it. */

import { parentPort, workerData } from 'node:worker_threads'
import { Cache } from 'sark-cache'

const cache = new Cache({ name: 'smoke workers' })
const seen = cache.get('from main')
cache.set(`worker ${workerData.id}`, workerData.id)
// So that the others have seen it.
setTimeout(() => {
  cache.invalidateTag('main')
  parentPort.postMessage({ id: workerData.id, engine: cache.engine, seen })
}, 1_000)
