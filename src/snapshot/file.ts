import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { type FileHandle, lstat, open, readdir, rename, stat, unlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { outOfRange, wrongType } from '../common/errors.js'
import { checkText } from '../common/validate.js'

/** Ms after which a temporary file is what a process left that was killed. */
const LEFT_OVER = 60 * 60_000

/** Not on Windows, where the look at the file before it is opened has to do. */
const NO_LINK = constants.O_NOFOLLOW ?? 0

/** Throws unless `file` is a path. */
export function checkFile(file: unknown): asserts file is string {
  checkText(file, 'file')
  if (file.includes('\0')) throw outOfRange('file must be a path, and has a NUL')
}

function codeOf(error: unknown): unknown {
  return (error as { code?: unknown } | null)?.code
}

/** A snapshot that is being written: it takes the place of `file` as a whole, or not at all. */
export class NewFile {
  readonly handle: FileHandle
  readonly #file: string
  readonly #temporary: string

  private constructor(handle: FileHandle, file: string, temporary: string) {
    this.handle = handle
    this.#file = file
    this.#temporary = temporary
  }

  /** @throws `ERR_OUT_OF_RANGE` if there is something at `file` that is no regular file; what the system says. */
  static async create(file: string): Promise<NewFile> {
    const there = await lstat(file).catch((error) => {
      if (codeOf(error) !== 'ENOENT') throw error
    })
    if (there !== undefined && !there.isFile()) {
      throw outOfRange(
        `${JSON.stringify(file)} is ${kindOf(there)}, and a snapshot takes the place of a file alone`,
      )
    }
    await removeLeftOvers(file)
    const temporary = `${file}.${randomBytes(8).toString('hex')}.tmp`
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | NO_LINK
    return new NewFile(await open(temporary, flags, 0o600), file, temporary)
  }

  /** Has it on the disk, then in its place, then its place on the disk. */
  async keep(): Promise<void> {
    await this.handle.sync()
    await this.handle.close()
    await rename(this.#temporary, this.#file)
    await syncFolder(dirname(this.#file))
  }

  async discard(): Promise<void> {
    await this.handle.close().catch(() => {})
    await unlink(this.#temporary).catch(() => {})
  }
}

async function syncFolder(folder: string): Promise<void> {
  // Windows has no such call.
  if (process.platform === 'win32') return
  const handle = await open(folder, constants.O_RDONLY).catch(() => undefined)
  // One that may not be read cannot be told to.
  if (handle === undefined) return
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Removes what processes left behind that were killed while they wrote `file`. */
async function removeLeftOvers(file: string): Promise<void> {
  const [folder, prefix] = [dirname(file), `${basename(file)}.`]
  // A folder that may be written to need not be one that may be read.
  for (const name of await readdir(folder).catch(() => [])) {
    if (!name.startsWith(prefix) || !/^[0-9a-f]{16}\.tmp$/.test(name.slice(prefix.length))) continue
    const left = join(folder, name)
    const age = await stat(left).then(
      ({ mtimeMs }) => Date.now() - mtimeMs,
      () => 0,
    )
    if (age > LEFT_OVER) await unlink(left).catch(() => {})
  }
}

interface Stat {
  isFile(): boolean
  isSymbolicLink(): boolean
  isDirectory(): boolean
}

function kindOf(found: Stat): string {
  if (found.isSymbolicLink()) return 'a link'
  return found.isDirectory() ? 'a folder' : 'no regular file'
}

/** A snapshot that is there, or why it is not read. */
export type Opened =
  | { readonly handle: FileHandle; readonly size: number; readonly refusal?: undefined }
  | { readonly refusal: 'missing' | 'foreign'; readonly reason: string }

/** Opens a snapshot, never through a link. @throws What the system says, but for a file that is missing. */
export async function openSnapshot(file: string): Promise<Opened> {
  let handle: FileHandle
  try {
    // Before it is opened: a pipe would wait for its other end.
    const there = await lstat(file)
    if (!there.isFile()) return { refusal: 'foreign', reason: `it is ${kindOf(there)}` }
    handle = await open(file, constants.O_RDONLY | NO_LINK)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return { refusal: 'missing', reason: 'there is no such file' }
    if (codeOf(error) === 'ELOOP') return { refusal: 'foreign', reason: 'it is a link' }
    throw error
  }
  try {
    const { size, mode, uid } = await handle.stat()
    const reason = process.platform === 'win32' ? undefined : distrust(mode, uid)
    if (reason === undefined) return { handle, size }
    await handle.close()
    return { refusal: 'foreign', reason }
  } catch (error) {
    await handle.close()
    throw error
  }
}

/** Why a file may hold what another user put there; `undefined` if it may not. */
function distrust(mode: number, uid: number): string | undefined {
  if ((mode & 0o002) !== 0) return 'everybody may write to it'
  const own = process.geteuid?.()
  if (own !== undefined && uid !== own && uid !== 0) return 'it belongs to another user'
  return undefined
}

/** Fills `into` from `position`, or as much of it as there is. */
export async function readAt(handle: FileHandle, into: Buffer, position: number): Promise<Buffer> {
  let filled = 0
  while (filled < into.length) {
    const { bytesRead } = await handle.read(into, filled, into.length - filled, position + filled)
    if (bytesRead === 0) break
    filled += bytesRead
  }
  return into.subarray(0, filled)
}

/** Throws unless what is dumped or loaded is one of our caches. */
export function notACache(value: string): TypeError {
  return wrongType(`the cache must be a Cache or a PolicyCache of this package, not ${value}`)
}
