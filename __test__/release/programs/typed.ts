import {
  Cache,
  type CacheOptions,
  CleanupTask,
  type LoadContext,
  PolicyCache,
  type PolicyQuery,
  RustCache,
  rustCacheLoadError,
} from 'sark-cache'
import { type Observation, observeLoads, observeMetrics } from 'sark-cache/opentelemetry'
import { exposeMetrics, type MetricsRegistry } from 'sark-cache/prometheus'
import { type RolloutOptions, rollout } from 'sark-cache/rollout'
import { dump, type LoadResult, load } from 'sark-cache/snapshot'
import { type Fence, type RedisConnect, redisTier, TieredCache, type TierHealth } from 'sark-cache/tier'

interface Answer {
  allowed: boolean
}
const options: CacheOptions = { max: 10, engine: 'js' }
// Under exactOptionalPropertyTypes, an option may be undefined all the same.
const optional: CacheOptions = {
  max: undefined,
  name: undefined,
  near: undefined,
  loading: undefined,
  clock: Date,
}
using cache = new Cache<Answer>({ ...optional, ...options })
const stored: boolean = cache.set('k', { allowed: true }, { ttl: 5, tags: ['t'], fence: undefined })
const hit: boolean | undefined = cache.get('k')?.allowed
const loaded: Promise<Answer> = cache.getOrSet('k', () => ({ allowed: true }), { signal: undefined })

const mixed = new Cache({ max: 10 })
const narrowed: Answer | undefined = mixed.get<Answer>('k')
const peeked: string | undefined = mixed.peek<string>('k')
const inferred: Promise<number> = mixed.getOrSet('k', async () => 7)
const narrower: { allowed: true; why: string } | undefined = cache.get<{ allowed: true; why: string }>('k')
// @ts-expect-error: no Answer
cache.get<string>('k')
const sessions: Cache<{ user: string }> = mixed.namespace<{ user: string }>('sessions')

const byId = cache.wrap((id: number, admin: boolean) => ({ allowed: admin && id > 0 }), {
  key: (id, admin) => `${id}:${admin}`,
  tags: (result, id) => [`${result.allowed}`, `${id}`],
})
const wrapped: Promise<Answer> = byId(1, true)
const removed: boolean = byId.delete(1, true)
const named: string = byId.key(1, true)
const withContext = cache.wrap(
  async (id: number, context: LoadContext<Answer>) => {
    context.ttl = 5
    return context.stale ?? { allowed: id > 0 }
  },
  { key: (id) => `${id}`, context: true },
)
const withOptional = cache.wrap(
  async (id: number, options?: { deep?: boolean }) => ({ allowed: !options?.deep && id > 0 }),
  { key: (id, options) => `${id}:${options?.deep}` },
)
const optionalOnly: Promise<Answer>[] = [withOptional(1), withOptional(1, { deep: true })]
const again: Promise<Answer> = withContext(1)
// @ts-expect-error: one argument is missing
byId(1)

const counted: number = mixed.increment('n', 1, { ttl: 60_000 })
const changed: Answer | undefined = cache.update('k', (value) => ({ allowed: !value?.allowed }))
for (const value of cache.values()) value.allowed satisfies boolean
cache.forEach((value, key, of) => {
  of.set(key, value)
})

const decisions = new PolicyCache({
  evaluate: (query, context) => {
    query satisfies PolicyQuery
    context.tags = ['group']
    context.store = false
    return { allowed: true, why: 'owner' }
  },
})
const asked: PolicyQuery = {
  user: 'a',
  action: 'b',
  resource: 'c',
  tenant: undefined,
  sensitivity: undefined,
}
const why: Promise<string> = decisions.decide(asked, { status: undefined }).then((decision) => decision.why)
decisions.invalidate({ user: 'a', tenant: undefined })
const task = new CleanupTask(cache, { interval: 5, sliceMs: undefined })
const native = (): string | undefined => new RustCache().get('k')
const code: 'ERR_CACHE_ENGINE_UNAVAILABLE' | string | undefined = rustCacheLoadError()?.code
const settings: RolloutOptions = { name: 'typed', mode: 'shadow', percentage: undefined, file: undefined }
const rolled = rollout(decisions, settings)
const shadowed: Promise<string> = rolled.decide(asked, { signal: undefined }).then((decision) => decision.why)
const value: Promise<Answer> = rollout(cache, settings).getOrSet('k', () => ({ allowed: true }))
rolled.set({ mode: 'on', percentage: undefined })
const warm: Promise<LoadResult[]> = Promise.all([
  load(cache, 'file', { tags: undefined }),
  load(decisions, 'file', { concurrency: undefined, evaluate: () => ({ allowed: true, why: 'owner' }) }),
])
const written: Promise<number> = dump(cache, 'file', { max: undefined }).then((result) => result.written)
// @ts-expect-error: an option of decisions
load(cache, 'file', { concurrency: 5 })
// @ts-expect-error: no such mode
rolled.set({ mode: 'half' })
// @ts-expect-error: not the value's type
cache.set('k', 5)
// @ts-expect-error: no such option
new Cache({ size: 5 })
// @ts-expect-error: no such option
new PolicyCache({ denyTTL: 5 })

declare const connect: RedisConnect
const tiered = new TieredCache<Answer>({
  name: 'typed',
  redis: connect,
  namespace: undefined,
  near: undefined,
})
const moment: Fence = tiered.fence()
const fleet: Promise<unknown>[] = [
  tiered.getOrSet('k', () => ({ allowed: true }), { status: undefined }),
  tiered.set('k', { allowed: true }, { fence: moment, tags: undefined }),
  tiered.delete('k').then((was) => was satisfies boolean),
]
const how: TierHealth = tiered.health()
const shared = new PolicyCache({ evaluate: () => ({ allowed: true }), tier: redisTier({ redis: connect }) })
// @ts-expect-error: no number stands for a moment in a tier
tiered.set('k', { allowed: true }, { fence: 5 })
// @ts-expect-error: the clock is always exact
new TieredCache({ redis: connect, near: { clock: 'coarse' } })
// @ts-expect-error: nothing to connect by
redisTier({ namespace: 'n' })

declare const register: MetricsRegistry
using exposed = exposeMetrics({ register })
exposeMetrics({ register: undefined }).close()
const observations: Observation[] = [observeMetrics({ meterProvider: undefined }), observeLoads()]
// @ts-expect-error: no such option
exposeMetrics({ registry: register })

export {
  again,
  changed,
  code,
  counted,
  exposed,
  fleet,
  hit,
  how,
  inferred,
  loaded,
  named,
  narrowed,
  narrower,
  native,
  observations,
  optionalOnly,
  peeked,
  removed,
  sessions,
  shadowed,
  shared,
  stored,
  task,
  value,
  warm,
  why,
  wrapped,
  written,
}
