import { type EngineSettings, type EvictionPolicy, POLICIES } from '../../common/settings.js'
import { checkPrivate, reader } from '../clock.js'
import { assertAgrees } from '../conflict.js'
import type { EngineOptions } from '../engine.js'
import { holdName, sharedUnder } from '../names.js'
import { ABI, type Binding } from './binding.js'

/** The calls of a binding, each of which first says what time it is. They are for a cache that was opened to be told. */
function telling(binding: Binding, now: () => number): Binding {
  const told: Record<string, unknown> = { ...binding }
  for (const [name, call] of Object.entries(binding) as [string, (...args: unknown[]) => unknown][]) {
    if (name === 'close') continue
    told[name] = (cache: number, ...more: unknown[]) => {
      binding.tell(cache, now())
      return call(cache, ...more)
    }
  }
  return told as unknown as Binding
}

/** What an engine has open. */
export interface Opened {
  readonly binding: Binding
  readonly cache: number
  readonly hasOwnClock: boolean
  readonly settings: EngineSettings
  readonly format: number
  /** Gives the name back. */
  readonly leave?: (() => void) | undefined
}

/** Opens a cache, under a name or by itself. */
export function openCache(binding: Binding, options: EngineOptions): Opened {
  checkPrivate(options)
  const { name, max, maxSize, maxEntrySize, ttl, format, clock } = options
  if (name !== undefined) sharedUnder(name, 'rust', ABI)
  const policyNumber = options.policy && POLICIES.indexOf(options.policy)
  const now = clock && reader(clock)
  // Before anything is open: a clock may throw.
  now?.()
  const [slides, isTold] = [options.updateAgeOnGet ? 1 : 0, now === undefined ? 0 : 1]
  const cache = binding.open(name, max, maxSize, maxEntrySize, ttl, format, policyNumber, slides, isTold)
  try {
    const { serializer, policy, updateAgeOnGet, ...limits } = binding.options(cache)
    const settings = {
      ...limits,
      policy: POLICIES[policy] as EvictionPolicy,
      updateAgeOnGet: updateAgeOnGet === 1,
    }
    assertAgrees(options, { settings, format: serializer, tiered: false })
    return {
      binding: now === undefined ? binding : telling(binding, now),
      cache,
      hasOwnClock: now !== undefined,
      settings,
      format: serializer,
      leave: name === undefined ? undefined : holdName(name, 'rust', ABI, undefined),
    }
  } catch (error) {
    // What the name has open already stays as it is.
    binding.close(cache)
    throw error
  }
}
