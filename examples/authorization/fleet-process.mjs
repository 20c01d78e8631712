/** One of the processes: two threads that share what it holds, and the directory that their decisions are made from. */

import { Worker } from 'node:worker_threads'
import { Directory } from './directory.mjs'

const [socket, maxStaleness] = process.argv.slice(2)
const directory = new Directory()
const workerData = { memberships: directory.shared, socket, maxStaleness: Number(maxStaleness) }
const workers = [0, 1].map(() => new Worker(new URL('fleet-worker.mjs', import.meta.url), { workerData }))
const send = (message) => process.send?.(message)

for (const worker of workers) {
  worker.on('message', send)
  worker.on('error', (error) => {
    console.error(error)
    process.exit(1)
  })
}
process.on('message', (/** @type {any} */ { call, thread, member, ...command }) => {
  if (member === undefined) return workers[thread]?.postMessage({ call, ...command })
  // As a database would have it, which all processes read.
  directory.setMember(member.user, member.group, member.is)
  send({ call })
})
// Nothing is left running, whatever becomes of the first process.
process.on('disconnect', () => process.exit())
