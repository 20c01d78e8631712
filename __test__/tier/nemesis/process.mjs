/** A process of the nemesis: it starts its threads, and looks at what was acknowledged while they work. */

import { Worker } from 'node:worker_threads'
import { History, LOOK_EVERY } from './history.mjs'
import { Ledger } from './ledger.mjs'
import { SHAPES, THREADS, WRITERS } from './shapes.mjs'

/** @type {Omit<import('./worker.mjs').Setup, 'writer' | 'history' | 'settled'>} */
const setup = JSON.parse(process.argv[2] ?? '')
const { keys } = SHAPES[setup.shape]
const ledger = new Ledger(setup.folder)
const history = new History(keys)
const settled = new SharedArrayBuffer(keys * WRITERS * 4)
const own = new Uint32Array(keys * WRITERS)
const looking = setInterval(() => history.look(ledger, own), LOOK_EVERY)

/** @type {(Worker | undefined)[]} */
const workers = []
let isOver = false
let started = 0

function tell(/** @type {object} */ message) {
  if (process.connected) process.send?.(message)
}

function start(/** @type {number} */ thread) {
  const writer = setup.index * THREADS + thread
  const worker = new Worker(new URL('worker.mjs', import.meta.url), {
    workerData: { ...setup, writer, history: history.memory, settled },
  })
  workers[thread] = worker
  const id = ++started
  worker.on('message', (message) => tell({ ...message, index: setup.index, id }))
  worker.on('error', (error) =>
    tell({ kind: 'error', index: setup.index, writer, error: String(error?.stack ?? error) }),
  )
  return worker
}

/** The thread that follows, if one does. */
async function follower() {
  for (const worker of workers) {
    if (worker === undefined) continue
    worker.postMessage('follower?')
    const answer = await new Promise((resolve) => {
      const onMessage = (/** @type {any} */ message) => {
        if (message.kind !== 'follower') return
        worker.off('message', onMessage)
        resolve(message.follows)
      }
      worker.on('message', onMessage)
    })
    if (answer) return worker
  }
  return undefined
}

process.on('message', async (/** @type {any} */ order) => {
  if (order === 'end') {
    isOver = true
    await Promise.all(
      workers.map((worker) => {
        worker?.postMessage('end')
        return new Promise((resolve) => worker?.once('exit', resolve))
      }),
    )
    clearInterval(looking)
    ledger.close()
    // Nothing is left that keeps it alive.
    process.disconnect()
    return
  }
  const worker = await follower()
  if (worker !== undefined && order.block !== undefined) worker.postMessage(order)
  else if (worker !== undefined && order === 'terminate') {
    const thread = workers.indexOf(worker)
    await worker.terminate()
    start(thread)
  }
  tell({ kind: 'done', index: setup.index, done: worker !== undefined })
})
process.on('disconnect', () => {
  if (!isOver) process.exit(1)
})

for (let thread = 0; thread < THREADS; thread++) start(thread)
