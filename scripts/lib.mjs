/** What the scripts share. */

import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, statSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('..', import.meta.url))

/** Runs a command with this terminal; ends the script with its code if it fails. */
export function run(command, args, options = {}) {
  const { status, signal, error } = spawnSync(command, args, {
    cwd: root,
    stdio: 'inherit',
    // npm and npx are scripts on Windows, which only a shell starts; a path with a space in it would not survive one.
    shell: process.platform === 'win32' && !path.isAbsolute(command),
    ...options,
  })
  if (error !== undefined) throw error
  if (status !== 0) {
    console.error(`failed (${signal ?? status}): ${command} ${args.join(' ')}`)
    process.exit(status ?? 1)
  }
}

/**
 * How npm is started: by the Node that runs this, where npm says where it lies.
 *
 * @returns {[command: string, ...args: string[]]}
 */
export function npmCommand(execpath = process.env.npm_execpath) {
  // npx names itself; npm lies beside it.
  const cli = execpath?.replace(/npx-cli\.js$/, 'npm-cli.js')
  return cli?.endsWith('npm-cli.js') ? [process.execPath, cli] : ['npm']
}

/** Whether a Rust toolchain can be used. */
export function hasCargo() {
  return spawnSync('cargo', ['--version'], { stdio: 'ignore' }).status === 0
}

/** The glibc that this process runs on, or `undefined` where that is another C library. */
export function glibcVersion() {
  const report = /** @type {{ header: { glibcVersionRuntime?: string } }} */ (process.report.getReport())
  return report.header.glibcVersionRuntime
}

function files(at) {
  if (!existsSync(at)) return []
  if (!statSync(at).isDirectory()) return [at]
  return readdirSync(at, { encoding: 'utf8', recursive: true })
    .map((name) => path.join(at, name))
    .filter((name) => statSync(name).isFile())
}

/** When the newest of the files at or under `places` was changed, in ms since the epoch; 0 if there is none. */
export function newest(...places) {
  const times = places.flatMap((place) => files(path.join(root, place))).map((file) => statSync(file).mtimeMs)
  return Math.max(0, ...times)
}

/** Installs the packages of a folder that has a lock of its own, where they are missing or older than that. */
export function install(folder) {
  if (newest(`${folder}/node_modules/.package-lock.json`) >= newest(`${folder}/package-lock.json`)) return
  console.log(`installing the packages of ${folder}/ …`)
  run('npm', ['ci', '--prefix', folder, '--ignore-scripts', '--no-fund', '--no-audit'])
}
