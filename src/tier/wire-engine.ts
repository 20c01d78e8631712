import type { Engine } from '../engine/engine.js'

/** How an engine is seen through what processes share. */
export interface Wiring {
  /** The name by which processes know a tag. */
  readonly tagOf: (tag: string) => string
  /** The most ms that a value lives here. */
  readonly localTtl: number
}

/** An engine that knows tags by the names that processes share, since changes come from others by those. */
export function wireEngine(engine: Engine, { tagOf, localTtl }: Wiring): Engine {
  const tags = (given: readonly string[] | undefined) => given?.map(tagOf)
  const life = (ttl: number | undefined) => Math.min(ttl ?? engine.settings.ttl, localTtl)
  const wired: Partial<Engine> = {
    set: (key, value, ttl, fence, given, grace) =>
      engine.set(key, value, life(ttl), fence, tags(given), grace),
    setIfAbsent: (key, value, ttl, given, grace, fence) =>
      engine.setIfAbsent(key, value, life(ttl), tags(given), grace, fence),
    claim: (key, timeout, given) => engine.claim(key, timeout, tags(given)),
    permits: (key, fence, given) => engine.permits(key, fence, tags(given)),
    invalidateTag: (tag) => engine.invalidateTag(tagOf(tag)),
  }
  const own: Record<string | symbol, unknown> = wired
  return new Proxy(engine, {
    get(target, name) {
      const mine = own[name]
      if (mine !== undefined) return mine
      const value: unknown = Reflect.get(target, name, target)
      if (typeof value !== 'function') return value
      // Bound once: what is found here is called on the proxy.
      own[name] = value.bind(target)
      return own[name]
    },
  })
}
