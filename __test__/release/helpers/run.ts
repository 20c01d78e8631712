import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { npmCommand } from '../../../scripts/lib.mjs'
import type { Runtime } from './runtimes.js'

/** How a process ended and what it printed. */
export interface Ended {
  readonly code: number | null
  readonly signal: string | null
  readonly out: string
  readonly err: string
  readonly ms: number
}

export interface RunOptions {
  readonly cwd: string
  readonly env?: Record<string, string>
  /** Ms after which the process is killed, so that a test fails that would hang. */
  readonly limit?: number
}

/** What a process cannot do without; most of it is for Windows. */
const KEPT = [
  'PATH',
  'HOME',
  'npm_execpath',
  'SystemRoot',
  'SystemDrive',
  'ComSpec',
  'PATHEXT',
  'TEMP',
  'TMP',
  'USERPROFILE',
  'APPDATA',
  'LOCALAPPDATA',
]

/** Runs a command to its end, with an environment that nothing of the tests' own leaks into. */
export async function runCommand(
  command: string,
  args: readonly string[],
  { cwd, env = {}, limit = 60_000 }: RunOptions,
): Promise<Ended> {
  const kept = Object.fromEntries(
    KEPT.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])),
  )
  const start = performance.now()
  const child = spawn(command, args, {
    cwd,
    env: { ...kept, NO_COLOR: '1', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const printed = { out: '', err: '' }
  child.stdout.on('data', (chunk) => {
    printed.out += chunk
  })
  child.stderr.on('data', (chunk) => {
    printed.err += chunk
  })
  const timer = setTimeout(() => child.kill('SIGKILL'), limit)
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null]
  clearTimeout(timer)
  return { code, signal, ...printed, ms: performance.now() - start }
}

/** Runs a script on a runtime. */
export function runScript(
  { command, flags }: Runtime,
  script: readonly string[],
  options: RunOptions,
): Promise<Ended> {
  return runCommand(command, [...flags, ...script], options)
}

/** Runs npm, by the Node that runs the tests. */
export function npm(args: readonly string[], options: RunOptions): Promise<Ended> {
  const [command, ...before] = npmCommand()
  return runCommand(command as string, [...before, ...args], options)
}

/** What a process printed, if it ended well; else what it said is in the error. */
export function printedBy(ended: Ended): string {
  if (ended.code === 0) return ended.out
  throw new Error(`ended with ${ended.signal ?? ended.code}\n${ended.out}\n${ended.err}`)
}
