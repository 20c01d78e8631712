import { buckets } from './bucket.js'
import {
  changed,
  failed,
  type RolloutErrorMessage,
  type RolloutMessage,
  type RolloutSource,
} from './events.js'
import { RolloutFile } from './file.js'
import {
  parseVariable,
  type RolloutChange,
  type RolloutMode,
  type RolloutOptions,
  type RolloutSetting,
} from './setting.js'
import { Shared, type SharedState } from './shared.js'

/** What a rollout does at this moment, and who said so. */
export interface RolloutState extends RolloutSetting {
  readonly source: RolloutSource
}

/** Decides what a rollout does: of all that have a say, the strongest. */
export class Control {
  readonly shared: Shared
  readonly #name: string
  readonly #file: RolloutFile | undefined
  readonly #variable: RolloutSetting | 'kill' | undefined
  readonly #options: RolloutSetting
  readonly #isAmong: (subject: string, percentage: number) => boolean
  #seen: SharedState | undefined
  #state: RolloutState | undefined

  constructor({ name, mode = 'off', percentage = 100, file }: RolloutOptions, counters: number) {
    this.#name = name
    this.#variable = parseVariable(name)
    this.#options = { mode, percentage }
    this.#isAmong = buckets(name)
    this.#file =
      file === undefined ? undefined : new RolloutFile(file, (error) => this.tellError('file', error))
    this.shared = new Shared(name, counters)
  }

  /** What holds now. */
  get state(): RolloutState {
    const shared = this.shared.state
    const isNew = this.#file?.look() === true
    if (this.#state === undefined || isNew || shared !== this.#seen) {
      this.#seen = shared
      this.#become(this.#decide(shared))
    }
    return this.#state as RolloutState
  }

  #become(state: RolloutState): void {
    const before = this.#state
    this.#state = state
    const { mode, percentage, source } = state
    const isSame = before?.mode === mode && before.percentage === percentage && before.source === source
    if (isSame || !changed.hasSubscribers) return
    const message: RolloutMessage = { name: this.#name, mode, percentage, source }
    changed.publish(message)
  }

  #decide(shared: SharedState): RolloutState {
    const asked = this.#asked(shared)
    if (shared.isKilled || this.#file?.isKilled || this.#variable === 'kill') {
      return { mode: 'off', percentage: asked.percentage, source: 'kill' }
    }
    if (shared.hasFallenBack && asked.mode === 'on') return { ...asked, mode: 'shadow', source: 'fallback' }
    return asked
  }

  /** What is asked for, by the strongest of those who ask. */
  #asked({ setting }: SharedState): RolloutState {
    if (setting !== undefined) return { ...setting, source: 'set' }
    if (this.#file?.setting !== undefined) return { ...this.#file.setting, source: 'file' }
    const variable = this.#variable
    if (variable !== undefined && variable !== 'kill') return { ...variable, source: 'environment' }
    return { ...this.#options, source: 'options' }
  }

  /** What is done for a subject, which is looked at only where it matters. */
  modeFor(subject: () => string): RolloutMode {
    const { mode, percentage } = this.state
    if (mode !== 'on' || percentage >= 100) return mode
    return this.#isAmong(subject(), percentage) ? 'on' : 'shadow'
  }

  set({ mode, percentage }: RolloutChange): void {
    this.#file?.look()
    this.shared.change((state) => {
      const asked = this.#asked(state)
      return { ...state, setting: { mode: mode ?? asked.mode, percentage: percentage ?? asked.percentage } }
    })
  }

  kill(isKilled: boolean): void {
    this.shared.change((state) => ({ ...state, isKilled }))
  }

  /** Serves nobody from the cache any more, if it does, until somebody says so. */
  fallBack(): void {
    if (this.state.mode === 'on') this.shared.change((state) => ({ ...state, hasFallenBack: true }))
  }

  resume(): void {
    this.shared.change((state) => ({ ...state, hasFallenBack: false }))
  }

  tellError(what: RolloutErrorMessage['what'], error: unknown): void {
    if (!failed.hasSubscribers) return
    const message: RolloutErrorMessage = { name: this.#name, what, error }
    failed.publish(message)
  }
}
