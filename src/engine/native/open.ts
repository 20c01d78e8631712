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
  readonly isTiered: boolean
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
  const flags = [options.updateAgeOnGet, now !== undefined, options.tiered].map((flag) => (flag ? 1 : 0))
  const [slides, isTold, isTiered] = flags
  const limits = [max, maxSize, maxEntrySize, ttl] as const
  const cache = binding.open(name, ...limits, format, policyNumber, slides, isTold, isTiered)
  try {
    const { serializer, policy, updateAgeOnGet, tiered, ...inForce } = binding.options(cache)
    const settings = {
      ...inForce,
      policy: POLICIES[policy] as EvictionPolicy,
      updateAgeOnGet: updateAgeOnGet === 1,
    }
    assertAgrees(options, { settings, format: serializer, tiered: tiered === 1 })
    return {
      binding: now === undefined ? binding : telling(binding, now),
      cache,
      hasOwnClock: now !== undefined,
      isTiered: tiered === 1,
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
