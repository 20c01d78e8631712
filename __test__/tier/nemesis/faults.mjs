import { rmSync } from 'node:fs'
import path from 'node:path'
import { PROCESSES } from './shapes.mjs'

/**
 * @typedef {Awaited<ReturnType<typeof import('../../../scripts/servers.mjs').startServer>>} Server
 * @typedef {object} Stage
 * @property {Server} master
 * @property {Server | undefined} replica
 * @property {readonly import('./gate.mjs').Gate[]} proxies By process.
 * @property {import('./fleet.mjs').Fleet} fleet
 * @typedef {(stage: Stage) => Promise<unknown>} Fault
 */

export const sleep = (/** @type {number} */ ms) =>
  new Promise((/** @type {(value?: undefined) => void} */ resolve) => setTimeout(resolve, ms))
const between = (/** @type {number} */ least, /** @type {number} */ most) =>
  least + Math.random() * (most - least)
const someProcess = () => Math.floor(Math.random() * PROCESSES)

const record = ['v', 'w', 'l'].map((part) => `{sc1:nemesis}:${part}`)
const [newer = '', older = '', log = ''] = record

/** @param {Server} master */
async function restart(master) {
  await master.kill()
  await sleep(between(100, 900))
  await master.start()
}

/** @param {Server} replica @param {Server} master */
export async function follow(replica, master) {
  await replica.ask('REPLICAOF', '127.0.0.1', String(master.port))
  for (let tries = 0; tries < 200; tries++) {
    if ((await replica.ask('INFO', 'replication')).includes('master_link_status:up')) return
    await sleep(50)
  }
  throw new Error(`a replica did not catch up: ${replica.output()}`)
}

/** Makes the replica the master, which loses what the master did meanwhile. @param {Stage} stage @param {number} spared */
async function failOver(stage, spared) {
  const { master, replica, proxies } = stage
  if (replica === undefined) throw new Error('there is no replica')
  await replica.ask('REPLICAOF', 'NO', 'ONE')
  await sleep(between(50, 300))
  // From here on nobody is answered by the old master, but for one that hears of nothing.
  const spare = proxies[spared]
  if (spare !== undefined) spare.isFrozen = true
  stage.master = replica
  stage.replica = master
  for (const [index, proxy] of proxies.entries()) if (index !== spared) proxy.cut()
  await follow(master, replica)
}

/** @param {Stage} stage @param {(proxy: import('./gate.mjs').Gate) => void} harm @param {number} ms */
async function harmOne({ proxies }, harm, ms) {
  const proxy = /** @type {import('./gate.mjs').Gate} */ (proxies[someProcess()])
  harm(proxy)
  await sleep(ms)
  proxy.heal()
}

/** What befalls the server. @type {Readonly<Record<string, Fault>>} */
export const SERVER_FAULTS = {
  'kill, then empty': async ({ master }) => {
    rmSync(path.join(master.folder, 'dump.rdb'), { force: true })
    await restart(master)
  },
  'kill, then an old RDB': async ({ master }) => {
    await master.ask('SAVE')
    await sleep(between(300, 1_500))
    await restart(master)
  },
  'SIGSTOP of the server': async ({ master }) => {
    master.pause()
    await sleep(between(200, 2_500))
    master.resume()
  },
  'CLIENT KILL': ({ master }) => master.ask('CLIENT', 'KILL', 'TYPE', 'normal'),
  FLUSHALL: ({ master }) => master.ask('FLUSHALL'),
  XTRIM: ({ master }) => master.ask('XTRIM', log, 'MAXLEN', '0'),
  'DEL v': ({ master }) => master.ask('DEL', newer),
  'DEL w': ({ master }) => master.ask('DEL', older),
  'maxmemory 1': async ({ master }) => {
    await master.ask('CONFIG', 'SET', 'maxmemory', '1')
    await sleep(between(500, 2_500))
    await master.ask('CONFIG', 'SET', 'maxmemory', '0')
  },
  'SCRIPT FLUSH': ({ master }) => master.ask('SCRIPT', 'FLUSH'),
  'failover A→B→A': async (stage) => {
    await failOver(stage, -1)
    await sleep(between(200, 1_500))
    await failOver(stage, -1)
  },
  'failover A→B→A, one connection survives': async (stage) => {
    const spared = someProcess()
    await failOver(stage, spared)
    await sleep(between(300, 1_000))
    await failOver(stage, spared)
    stage.proxies[spared]?.heal()
  },
}

/** What befalls one process. @type {Readonly<Record<string, Fault>>} */
export const PROCESS_FAULTS = {
  freeze: (stage) =>
    harmOne(
      stage,
      (proxy) => {
        proxy.isFrozen = true
      },
      between(500, 3_000),
    ),
  cut: (stage) => harmOne(stage, (proxy) => proxy.cut(), 300),
  'cut off': (stage) =>
    harmOne(
      stage,
      (proxy) => {
        proxy.isShut = true
        proxy.cut()
      },
      between(500, 3_000),
    ),
  delay: (stage) =>
    harmOne(
      stage,
      (proxy) => {
        proxy.delay = between(20, 700)
      },
      2_500,
    ),
  slow: (stage) =>
    harmOne(
      stage,
      (proxy) => {
        proxy.bytesPerSecond = between(100, 20_000)
      },
      2_000,
    ),
  'half a reply, then reset': async (stage) => {
    const proxy = /** @type {import('./gate.mjs').Gate} */ (stage.proxies[someProcess()])
    proxy.breakReplies(5)
    await sleep(1_000)
    const isBroken = proxy.halvesLeft < 5
    proxy.heal()
    if (!isBroken) throw new Error('no reply was broken off')
  },
  'block the follower': async ({ fleet }) => {
    if (await fleet.order(someProcess(), { block: 3_000 })) await sleep(3_000)
  },
  'terminate the follower': ({ fleet }) => fleet.order(someProcess(), 'terminate'),
  'SIGSTOP of a process': async ({ fleet }) => {
    const index = someProcess()
    fleet.signal(index, 'SIGSTOP')
    await sleep(between(500, 3_000))
    fleet.signal(index, 'SIGCONT')
  },
  'SIGKILL of a process': ({ fleet }) => fleet.replace(someProcess(), between(0, 500)),
}

/**
 * Has all of `faults` happen, in an order of chance, again and again, until it is over.
 *
 * @param {Stage} stage
 * @param {Readonly<Record<string, Fault>>} faults
 * @param {Record<string, number>} counts
 * @param {() => boolean} isOver
 */
export async function inflict(stage, faults, counts, isOver) {
  for (let left = Object.keys(faults); !isOver(); ) {
    const [name = ''] = left.splice(Math.floor(Math.random() * left.length), 1)
    await faults[name]?.(stage)
    counts[name] = (counts[name] ?? 0) + 1
    if (left.length === 0) left = Object.keys(faults)
    const until = performance.now() + between(500, 2_500)
    while (performance.now() < until && !isOver()) await sleep(50)
  }
}
