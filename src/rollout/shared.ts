import { update } from '../cache/atomic.js'
import { type CacheCore, openCore } from '../cache/core.js'
import type { SharedCounters } from '../engine/capabilities.js'
import type { RolloutSetting } from './setting.js'

/** What was set while the program runs. */
export interface SharedState {
  readonly isKilled?: boolean
  /** Whether a stale allow was seen while the cache served. */
  readonly hasFallenBack?: boolean
  readonly setting?: RolloutSetting
}

const KEY = 'state'

const NOTHING: SharedState = {}

/** What the threads of a process have in common of a rollout: it is read like any cached value, at every call. */
export class Shared {
  readonly #core: CacheCore<SharedState>
  readonly counters: SharedCounters

  constructor(name: string, counters: number) {
    this.#core = openCore<SharedState>({ name: `rollout ${name}`, max: 4 }, 'rollout')
    this.counters = this.#core.engine.counters('outcomes', counters)
  }

  /** The same object as long as nothing changed, where the runtime allows it. */
  get state(): SharedState {
    return this.#core.get(KEY) ?? NOTHING
  }

  /** Changes the state at one instant for all threads. */
  change(change: (state: SharedState) => SharedState): void {
    update(this.#core, KEY, (state) => change(state ?? NOTHING), undefined)
  }

  close(): void {
    this.#core.close()
  }
}
