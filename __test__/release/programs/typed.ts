import { Cache, type CacheOptions, CleanupTask, PolicyCache, RustCache, rustCacheLoadError } from 'sark-cache'

const options: CacheOptions = { max: 10, engine: 'js' }
using cache = new Cache<{ allowed: boolean }>(options)
const stored: boolean = cache.set('k', { allowed: true }, { ttl: 5, tags: ['t'] })
const hit: boolean | undefined = cache.get('k')?.allowed
const loaded: Promise<{ allowed: boolean }> = cache.getOrSet('k', () => ({ allowed: true }))
const decisions = new PolicyCache({ evaluate: () => ({ allowed: true, why: 'owner' }) })
const why: Promise<string> = decisions
  .decide({ user: 'a', action: 'b', resource: 'c' })
  .then((decision) => decision.why)
const task = new CleanupTask(cache, { interval: 5 })
const native = (): string | undefined => new RustCache().get('k')
const code: 'ERR_CACHE_ENGINE_UNAVAILABLE' | string | undefined = rustCacheLoadError()?.code
// @ts-expect-error: not the value's type
cache.set('k', 5)
// @ts-expect-error: no such option
new Cache({ size: 5 })

export { code, hit, loaded, native, stored, task, why }
