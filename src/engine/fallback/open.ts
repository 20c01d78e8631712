import { checkPrivate, reader } from '../clock.js'
import { assertAgrees } from '../conflict.js'
import type { EngineOptions } from '../engine.js'
import { sharedUnder } from '../names.js'
import { STORE_FORMAT, Store } from './store.js'

function monotonicMs(): number {
  return Math.floor(performance.now())
}

/** The store of a name that is open in this thread, or a new one. */
export function openStore(options: EngineOptions): Store {
  checkPrivate(options)
  const { name, clock } = options
  const now = clock === undefined ? monotonicMs : reader(clock)
  // Before anything is open: a clock may throw.
  now()
  const found = name === undefined ? undefined : (sharedUnder(name, 'js', STORE_FORMAT) as Store | undefined)
  const store = found ?? new Store(options, now)
  assertAgrees(options, store)
  return store
}
