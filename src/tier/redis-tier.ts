import type { TierFactory } from '../cache/tier.js'
import { describe, wrongType } from '../common/errors.js'
import type { Engine } from '../engine/engine.js'
import { portsOf } from './clients/connect.js'
import { wireName } from './names.js'
import { namespaceOf, parseTier, type RedisTierOptions, type TierSettings } from './options.js'
import { RemoteTier } from './remote-tier.js'
import { wireEngine } from './wire-engine.js'

/** A tier with these settings, checked, for one cache after the other. */
export function factoryOf(settings: TierSettings): TierFactory & { open(...args: never[]): RemoteTier } {
  /** By what a cache sees of it, the engine itself. */
  const engines = new WeakMap<Engine, Engine>()
  return {
    check(name) {
      portsOf(settings.redis, namespaceOf(settings, name))
    },
    checkNamed(namespace) {
      if (settings.namespace !== undefined) return
      throw wrongType(
        `redisTier must be given a namespace for the decisions of namespace ${describe(namespace)}`,
      )
    },
    keyOf: wireName,
    wrap(engine) {
      const wired = wireEngine(engine, { tagOf: wireName, localTtl: settings.localTtl })
      engines.set(wired, engine)
      return wired
    },
    open(host) {
      return new RemoteTier(settings, host, engines.get(host.engine) as Engine)
    },
  }
}

/**
 * Redis or Valkey behind a cache, so that all processes of a namespace are told of each change: for the option `tier` of
 * `PolicyCache`.
 *
 * @throws `RangeError` or `TypeError` naming the option.
 * @example
 * const decisions = new PolicyCache({ name: 'decisions', evaluate, tier: redisTier({ redis: new Redis() }) })
 */
export function redisTier(options: RedisTierOptions): TierFactory {
  return factoryOf(parseTier(options))
}
