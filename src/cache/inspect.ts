import type { CacheCore } from './core.js'
import { type DecisionTotals, type InspectableKind, register } from './registry.js'
import { statsOf } from './stats.js'

/**
 * Has a cache found among those that are open, and returns it.
 *
 * @param name How it is called, where that is not its name alone.
 * @param decisions What is counted of decisions, where it holds such.
 */
export function inspect<V>(
  core: CacheCore<V>,
  kind: InspectableKind,
  name: string | undefined = core.name,
  decisions: () => DecisionTotals | undefined = () => undefined,
): CacheCore<V> {
  register(core, {
    kind,
    name,
    engine: core.engine.kind,
    settings: core.settings,
    flush: () => {
      core.flush()
      core.loads()
      decisions()
      core.tier?.totals()
    },
    stats: () => statsOf(core),
    loads: () => core.loads(),
    decisions,
    tier: () => core.tier?.totals(),
  })
  return core
}

/** How metrics name a policy cache: with its namespace, where that is not the default; no two have a name in common. */
export function labelOf(name: string | undefined, namespace: string): string | undefined {
  if (name === undefined || (namespace === 'default' && !name.includes('/'))) return name
  return `${namespace.replaceAll('%', '%25').replaceAll('/', '%2F')}/${name}`
}
