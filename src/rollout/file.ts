import { lstatSync, readFileSync, statSync } from 'node:fs'
import { outOfRange } from '../common/errors.js'
import { parseText, type RolloutSetting } from './setting.js'

/** Ms between two looks at the files. */
const EVERY = 250

/** Bytes up to which a file is taken for one of a rollout. */
const MOST = 65_536

/**
 * The file of a rollout and its kill switch, looked at when somebody asks and the last look was a while ago: there is no
 * timer, and nothing is missed by a thread that slept.
 */
export class RolloutFile {
  readonly #file: string
  readonly #onError: (error: unknown) => void
  #looked = -Infinity
  /** What tells one state of the file from the next. */
  #stamp = ''
  /** The last good state. */
  setting: RolloutSetting | undefined
  isKilled = false

  constructor(file: string, onError: (error: unknown) => void) {
    this.#file = file
    this.#onError = onError
  }

  /** Looks at the files if it is time to; says whether something changed. */
  look(): boolean {
    const now = performance.now()
    if (now - this.#looked < EVERY) return false
    this.#looked = now
    const wasKilled = this.isKilled
    this.isKilled = this.#isKillThere()
    return this.#read() || this.isKilled !== wasKilled
  }

  /** Anything but a certain no is a yes: without the cache nothing is wrong. */
  #isKillThere(): boolean {
    try {
      return lstatSync(`${this.#file}.kill`, { throwIfNoEntry: false }) !== undefined
    } catch {
      return true
    }
  }

  #read(): boolean {
    let stamp = 'none'
    try {
      const stat = statSync(this.#file, { bigint: true, throwIfNoEntry: false })
      if (stat !== undefined) stamp = `${stat.dev} ${stat.ino} ${stat.size} ${stat.mtimeNs} ${stat.ctimeNs}`
      if (stamp === this.#stamp) return false
      if (stat === undefined) {
        // What it said last holds on: that it is gone says nothing of what is wanted.
        if (this.setting !== undefined) throw outOfRange('the file of the rollout is gone')
        this.#stamp = stamp
        return false
      }
      // A pipe would wait for its other end.
      if (!stat.isFile() || stat.size > MOST)
        throw outOfRange('the file of the rollout is no file of a few bytes')
      this.setting = parseText(readFileSync(this.#file, 'utf8'))
      this.#stamp = stamp
      return true
    } catch (error) {
      const code = String((error as { code?: unknown } | null)?.code)
      const broken = stamp === 'none' ? `${stamp} ${code}` : stamp
      if (broken !== this.#stamp) this.#onError(error)
      this.#stamp = broken
      return false
    }
  }
}
