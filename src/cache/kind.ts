/** What an engine's cache is for; those of one name and different kinds have nothing in common. */
export type CacheKind = 'cache' | 'policy' | 'rollout'

/** The name by which engines know a cache. No two kinds have a name in common. */
export function engineName(kind: CacheKind, name: string): string {
  return `${kind}:${name}`
}
