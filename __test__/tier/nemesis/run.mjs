import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { available, startServer } from '../../../scripts/servers.mjs'
import { follow, inflict, PROCESS_FAULTS, SERVER_FAULTS, sleep } from './faults.mjs'
import { Fleet } from './fleet.mjs'
import { Gate } from './gate.mjs'
import { Ledger } from './ledger.mjs'
import { SHAPES } from './shapes.mjs'

const CLIENTS = ['ioredis', 'redis', 'ioredis5']
const KINDS = /** @type {const} */ ({ redis: 'redis-7.0', valkey: 'valkey-8.1' })

/** The server of a name that there is; `undefined` if there is none. */
export function kindOf(/** @type {'redis' | 'valkey'} */ server) {
  const kind = KINDS[server]
  return available().find((each) => each.kind === kind)?.kind
}

/** A folder in memory, where there is one. */
function makeFolder() {
  return mkdtempSync(path.join(existsSync('/dev/shm') ? '/dev/shm' : os.tmpdir(), 'sark-nemesis-'))
}

/**
 * Runs three processes over one server, with all that can befall them.
 *
 * @param {object} options
 * @param {'redis' | 'valkey'} [options.server]
 * @param {import('./shapes.mjs').ShapeName} [options.shape]
 * @param {number} [options.seconds]
 * @param {number} [options.pace] Gets of a loop between two pauses.
 * @param {string | undefined} [options.mutant] A defect to be seen: see `clients.mjs`.
 * @param {boolean} [options.stopAtFirst] Ends with the first violation.
 * @param {boolean} [options.untilAllFaults] Goes on until each fault happened, for as long again and a minute at most.
 */
export async function run({
  server = 'redis',
  shape = 'dense',
  seconds = 60,
  pace = 60,
  mutant,
  stopAtFirst = false,
  untilAllFaults = false,
} = {}) {
  const kind = kindOf(server)
  if (kind === undefined) throw new Error(`there is no ${KINDS[server]}`)
  const folder = makeFolder()
  Ledger.create(folder, SHAPES[shape].keys)
  const args = ['--repl-diskless-sync', 'yes', '--repl-diskless-sync-delay', '0']
  const servers = [await startServer(kind, { port: 0, args }), await startServer(kind, { port: 0, args })]
  const [master, replica] = servers
  /** @type {Record<string, number>} */
  const faults = {}
  /** @type {import('./faults.mjs').Stage} */
  const stage = /** @type {any} */ ({ master, replica })
  stage.proxies = CLIENTS.map((_, index) => new Gate(path.join(folder, `p${index}`), () => stage.master.at))
  const fleet = new Fleet((index) => ({
    folder,
    shape,
    mutant,
    pace,
    client: { client: CLIENTS[index], path: stage.proxies[index]?.path },
  }))
  stage.fleet = fleet
  const kill = () => {
    fleet.kill()
    for (const each of [folder, ...servers.map((server) => server.folder)])
      rmSync(each, { recursive: true, force: true })
  }
  process.once('exit', kill)
  try {
    await follow(/** @type {any} */ (replica), /** @type {any} */ (master))
    await Promise.all(stage.proxies.map((proxy) => proxy.listen()))
    await fleet.start()
    const began = performance.now()
    const names = [...Object.keys(SERVER_FAULTS), ...Object.keys(PROCESS_FAULTS)]
    const isLeft = () => untilAllFaults && names.some((name) => faults[name] === undefined)
    const isOver = () => {
      const passed = (performance.now() - began) / 1e3
      if (fleet.problems.length > 0 || passed >= 2 * seconds + 60) return true
      if (stopAtFirst && (fleet.totals().violations ?? 0) > 0) return true
      return passed >= seconds && !isLeft()
    }
    const watch = (async () => {
      while (!isOver()) await sleep(100)
    })()
    const lanes = [SERVER_FAULTS, PROCESS_FAULTS].map((which) => inflict(stage, which, faults, isOver))
    await Promise.all([watch, ...lanes])
    const log = await stage.master.ask('XLEN', '{sc1:nemesis}:l')
    await fleet.end()
    return {
      server: `${kind} ${master?.version}`,
      shape,
      seconds,
      totals: fleet.totals(),
      faults,
      reports: fleet.reports,
      problems: fleet.problems,
      log: Number(/^:(\d+)/.exec(log)?.[1]),
    }
  } finally {
    process.off('exit', kill)
    fleet.kill()
    for (const proxy of stage.proxies) proxy.close()
    for (const each of servers) await each.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}
