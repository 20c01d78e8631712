/**
 * Uses the whole API of an installed package, on any runtime: `smoke.mjs rust|js`, the engine that must be in
 * use. Fails unless every public method was called and did what it says.
 */

import assert from 'node:assert/strict'
import * as diagnostics from 'node:diagnostics_channel'
import { mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import * as imported from 'sark-cache'
import { observeLoads, observeMetrics } from 'sark-cache/opentelemetry'
import { exposeMetrics } from 'sark-cache/prometheus'
import { rollout } from 'sark-cache/rollout'
import { dump, load } from 'sark-cache/snapshot'
import { redisTier, TieredCache } from 'sark-cache/tier'

const required = createRequire(import.meta.url)('sark-cache')
const { Cache, CleanupTask, isRustCacheAvailable, PolicyCache, RustCache, rustCacheLoadError } = imported
const engine = process.argv[2]
const rust = engine === 'rust'

const called = new Map()

/** `object`, with every use of its members on record. */
function recorded(object) {
  const names = called.get(object.constructor) ?? new Set()
  called.set(object.constructor, names)
  return new Proxy(object, {
    get(target, name) {
      names.add(name)
      const member = target[name]
      return typeof member === 'function' ? member.bind(target) : member
    },
  })
}

/** The public members of a class that were not used. */
function unused(type) {
  const names = Reflect.ownKeys(type.prototype).filter((name) => name !== 'constructor')
  return names.filter((name) => !called.get(type)?.has(name)).map((name) => `${type.name}: ${String(name)}`)
}

/** Ends what is `using`'d, also on runtimes that have no `using` yet. */
function dispose(object) {
  const name = Reflect.ownKeys(Object.getPrototypeOf(object)).find(
    (key) => typeof key === 'symbol' && /dispose/.test(key.description),
  )
  object[name]()
}

function modules() {
  assert.equal(required.Cache, imported.Cache)
  assert.equal(isRustCacheAvailable(), process.env.SARK_SMOKE_BROKEN === undefined)
  assert.equal(rustCacheLoadError() === undefined, isRustCacheAvailable())
  assert.equal(rustCacheLoadError()?.name, isRustCacheAvailable() ? undefined : 'CacheError')
}

async function cache() {
  const one = recorded(
    new Cache({ name: 'smoke', max: 100, maxSize: 100_000, maxEntrySize: 50_000, ttl: 60_000 }),
  )
  assert.equal(one.engine, engine)
  assert.equal(one.name, 'smoke')
  assert.deepEqual(one.settings, {
    max: 100,
    maxSize: 100_000,
    maxEntrySize: 50_000,
    ttl: 60_000,
    policy: 'lru',
    updateAgeOnGet: false,
  })
  assert.equal(one.set('k', { a: [1, 'ü', '\u{1f600}', null] }), true)
  assert.deepEqual(one.get('k'), { a: [1, 'ü', '\u{1f600}', null] })
  assert.deepEqual(one.peek('k'), one.get('k'))
  assert.equal(one.has('k'), true)
  assert.equal(one.get('none'), undefined)
  assert.ok(one.getRemainingTTL('k') > 59_000)
  assert.deepEqual(one.take('k'), { a: [1, 'ü', '\u{1f600}', null] })
  assert.equal(one.delete('k'), false)
  // Two keys that a lossy encoding would make one.
  one.set('\ud800', 1)
  one.set('\ud801', 2)
  assert.deepEqual(one.getMany(['\ud800', '\ud801']), [1, 2])
  assert.deepEqual(
    one.setMany([
      { key: 'a', value: 1, tags: ['t'] },
      { key: 'b', value: 2, ttl: 500 },
    ]),
    [true, true],
  )
  assert.deepEqual(one.hasMany(['a', 'b', 'c']), [true, true, false])
  await sleep(550)
  assert.equal(one.get('b'), undefined)
  assert.ok(one.purgeStale() >= 0)
  assert.equal(one.purgeSlice(5).done, true)
  const fence = one.fence()
  one.invalidateTag('t')
  assert.equal(one.get('a'), undefined)
  assert.equal(one.set('a', 'old', { fence, tags: ['t'] }), false)
  one.set('a', 1, { tags: ['t', 'u'] })
  one.invalidateTags(['u'])
  assert.equal(one.has('a'), false)
  let loads = 0
  const load = async () => ++loads
  assert.deepEqual(await Promise.all([one.getOrSet('l', load), one.getOrSet('l', load)]), [1, 1])
  const cached = one.wrap(async (id) => id * 2, { key: (id) => `twice ${id}` })
  assert.deepEqual([await cached(4), await cached(4)], [8, 8])
  assert.deepEqual([...one.keys()].sort(), ['l', 'twice 4', '\ud800', '\ud801'])
  assert.equal([...one.entries()].length, 4)
  assert.equal([...one].length, 4)
  assert.deepEqual([one.size, one.bytes > 4 * 96], [4, true])
  assert.deepEqual(one.deleteMany(['l', 'none']), [true, false])
  assert.equal(one.setIfAbsent('absent', 1), true)
  assert.equal(one.setIfAbsent('absent', 2), false)
  assert.equal(one.increment('absent', 2), 3)
  assert.equal(
    one.update('absent', (value) => value * 2),
    6,
  )
  assert.equal(one.touch('absent', 5_000), true)
  assert.ok([...one.values()].includes(6))
  const seen = []
  one.forEach((_, key) => {
    seen.push(key)
  })
  assert.ok(seen.includes('absent'))
  const space = one.namespace('space')
  space.set('absent', 'apart')
  assert.deepEqual([one.get('absent'), space.get('absent'), space.size], [6, 'apart', 1])
  space.clear()
  assert.deepEqual([one.get('absent'), space.size], [6, 0])
  for (let n = 0; n < 500; n++) one.set(`many ${n}`, n)
  assert.equal(one.size, 100)
  const stats = one.stats()
  assert.ok(stats.hits > 0 && stats.misses > 0 && stats.loads === 2 && stats.evictions > 0)
  one.resetStats()
  assert.equal(one.stats().hits, 0)
  one.clear()
  assert.deepEqual([one.size, one.bytes], [0, 0])
  one.close()
  assert.throws(() => one.get('k'), { code: 'ERR_CACHE_CLOSED' })
  dispose(one)
}

function values() {
  const v8 = new Cache({ serializer: 'v8' })
  v8.set('k', new Map([['when', new Date(0)]]))
  assert.deepEqual(v8.get('k'), new Map([['when', new Date(0)]]))
  v8.close()
  const json = new Cache()
  json.set('bytes', new Uint8Array([1, 2, 255]))
  assert.deepEqual([...json.get('bytes')], [1, 2, 255])
  json.set('long', 'é'.repeat(20_000))
  assert.equal(json.get('long'), 'é'.repeat(20_000))
  assert.throws(() => json.set('k', 1n), { code: 'ERR_CACHE_NOT_SERIALIZABLE' })
  assert.throws(() => json.set('k', 1, -1), { code: 'ERR_OUT_OF_RANGE' })
  assert.throws(() => json.get(1), { code: 'ERR_INVALID_ARG_TYPE' })
  json.close()
}

async function policies() {
  const evaluate = async ({ user }) => ({ allowed: user === 'alice' })
  const one = recorded(new PolicyCache({ evaluate, max: 100, namespace: 'smoke', policyRevision: '1' }))
  const query = { user: 'alice', action: 'read', resource: 'doc:1', context: { ip: '::1' } }
  const other = { ...query, user: 'bob' }
  assert.equal(one.engine, engine)
  assert.deepEqual(await one.decide(query), { allowed: true })
  assert.deepEqual(await one.getMany([query, other]), [{ allowed: true }, undefined])
  assert.deepEqual(one.cached(query), { allowed: true })
  assert.deepEqual(await one.preload([query, other]), { loaded: 1, present: 1, failed: [] })
  assert.equal((await one.decideMany([query, other])).length, 2)
  await one.invalidate({ user: 'alice' })
  assert.equal(await one.get(query), undefined)
  assert.equal(await one.set(query, { allowed: true }, { fence: one.fence() }), true)
  assert.deepEqual(await one.setMany([{ query: other, decision: { allowed: false } }]), [true])
  assert.equal(await one.size(), 2)
  assert.equal(await one.delete(other), true)
  await one.set(other, { allowed: false }, { tags: ['group'] })
  await one.invalidateTag('group')
  assert.equal(await one.get(other), undefined)
  assert.equal(await one.cleanupExpired(), 0)
  assert.equal(one.purgeSlice(1).done, true)
  assert.equal((await one.healthCheck()).healthy, true)
  assert.ok(one.getMetrics().hits >= 1)
  one.resetMetrics()
  assert.equal(one.getMetrics().hits, 0)
  await one.clear()
  one.close()
  dispose(one)
}

async function cleaning() {
  const cache = new Cache()
  const task = recorded(new CleanupTask(cache, { interval: 5 }))
  cache.set('k', 1, 1)
  task.start()
  for (let tries = 0; task.getMetrics().removed === 0 && tries < 500; tries++) await sleep(10)
  assert.equal(task.getMetrics().removed, 1)
  assert.equal(task.healthCheck().running, true)
  assert.equal(await task.trigger(), 0)
  await task.stop()
  dispose(task)
  cache.close()
}

function rustCache() {
  if (!isRustCacheAvailable()) {
    assert.throws(() => new RustCache(), { code: 'ERR_CACHE_ENGINE_UNAVAILABLE' })
    return
  }
  const one = recorded(new RustCache({ max: 10 }))
  assert.equal(one.set('k', 'v', 1_000), true)
  assert.deepEqual([one.get('k'), one.size()], ['v', 1])
  assert.equal(one.delete('k'), true)
  assert.equal(one.cleanupExpired(), 0)
  assert.equal(one.purgeSlice(1).done, true)
  one.clear()
  one.close()
  dispose(one)
}

/** Each subpath is used once, over the same caches. */
async function subpaths() {
  assert.equal(createRequire(import.meta.url)('sark-cache/rollout').rollout, rollout)
  const decisions = new PolicyCache({ evaluate: () => ({ allowed: true }) })
  const rolled = rollout(decisions, { name: 'smoke', mode: 'shadow' })
  const question = { user: 'a', action: 'b', resource: 'c' }
  for (let n = 0; n < 2; n++) assert.deepEqual(await rolled.decide(question), { allowed: true })
  assert.deepEqual([rolled.stats().miss, rolled.stats().match], [1, 1])
  rolled.close()
  const folder = mkdtempSync(path.join(tmpdir(), 'sark-smoke-'))
  const file = path.join(folder, 'decisions')
  assert.equal((await dump(decisions, file)).written, 1)
  await decisions.clear()
  const { state, loaded } = await load(decisions, file)
  assert.deepEqual([state, loaded, await decisions.size()], ['complete', 1, 1])
  const [from, to] = [new Cache(), new Cache()]
  from.set('k', { n: 1 }, 60_000)
  await dump(from, file)
  assert.equal((await load(to, file)).loaded, 1)
  assert.deepEqual(to.get('k'), { n: 1 })
  for (const each of [decisions, from, to]) each.close()
  rmSync(folder, { recursive: true })
}

/** A tier of which no server is there: everything is loaded, and nothing that is changed is acknowledged. */
async function tiers() {
  assert.equal(createRequire(import.meta.url)('sark-cache/tier').TieredCache, TieredCache)
  const redis = () => ({ send: () => Promise.reject(new Error()), on() {}, reset() {}, close() {} })
  const cache = recorded(new TieredCache({ name: 'smoke-tier', redis, writeTimeout: 20 }))
  assert.deepEqual([cache.name, cache.engine, cache.state], ['smoke-tier', engine, 'connecting'])
  assert.equal(cache.settings.max, 10_000)
  assert.equal(await cache.getOrSet('k', () => 1), 1)
  assert.equal(await cache.wrap((n) => n + 1, { key: String })(1), 2)
  assert.deepEqual([await cache.get('none'), cache.getLocal('k')], [undefined, undefined])
  assert.deepEqual(await cache.getMany(['none']), [undefined])
  for (const change of [
    () => cache.set('k', 2),
    () => cache.delete('k'),
    () => cache.deleteMany(['k']),
    () => cache.invalidateTag('t'),
    () => cache.invalidateTags(['t']),
    () => cache.clear(),
  ]) {
    await assert.rejects(change, { code: 'ERR_CACHE_CHANGE_PENDING' })
  }
  assert.equal(await cache.set('k', 3, { fence: cache.fence() }), true)
  await assert.rejects(() => cache.ready(AbortSignal.abort(new Error('enough'))), { message: 'enough' })
  assert.equal(cache.health().pending > 0, true)
  assert.equal(cache.stats().loads, 2)
  cache.resetStats()
  await cache.close()
  await cache[Reflect.ownKeys(TieredCache.prototype).find((name) => /asyncDispose/i.test(String(name)))]?.()
  assert.equal(cache.state, 'closed')
  assert.deepEqual(unused(TieredCache), [])
  const tier = redisTier({ redis })
  const decisions = recorded(
    new PolicyCache({ name: 'smoke-tier', evaluate: () => ({ allowed: true }), tier }),
  )
  await assert.rejects(() => decisions.ready(AbortSignal.abort(new Error('enough'))), { message: 'enough' })
  assert.deepEqual(await decisions.decide({ user: 'a', action: 'b', resource: 'c' }), { allowed: true })
  decisions.close()
}

/** Four threads count up in turns under one key; what they share is seen by all. */
async function workers() {
  const shared = new Cache({ name: 'smoke workers', max: 1_000 })
  shared.set('from main', 'hello', { tags: ['main'] })
  const answers = await Promise.all(
    Array.from({ length: 4 }, (_, id) => {
      const worker = new Worker(new URL('./smoke-worker.mjs', import.meta.url), { workerData: { id } })
      return new Promise((resolve, reject) => {
        let answer
        worker.on('message', (message) => {
          answer = message
        })
        worker.on('error', reject)
        worker.on('exit', () => resolve(answer))
      })
    }),
  )
  const seen = rust ? 'hello' : undefined
  assert.deepEqual(
    answers,
    answers.map((_, id) => ({ id, engine, seen })),
  )
  const written = [0, 1, 2, 3].map((id) => shared.get(`worker ${id}`))
  assert.deepEqual(written, rust ? [0, 1, 2, 3] : Array(4).fill(undefined))
  // The workers invalidated it, last of all.
  assert.equal(shared.get('from main'), rust ? undefined : 'hello')
  shared.close()
}

/** Exporters take what they are given, and need no package of their own. */
async function metrics() {
  const registered = new Map()
  const register = {
    registerMetric: (metric) => registered.set(metric.name, metric),
    getSingleMetric: (name) => registered.get(name),
    removeSingleMetric: (name) => registered.delete(name),
  }
  const exposed = exposeMetrics({ register })
  const observed = []
  const instrument = (name) => ({ name })
  const meter = {
    createObservableCounter: instrument,
    createObservableGauge: instrument,
    addBatchObservableCallback: (callback) => observed.push(callback),
    removeBatchObservableCallback: (callback) => assert.equal(callback, observed.pop()),
  }
  const spans = []
  const tracer = {
    startSpan: (name, { attributes }) => ({ end: () => spans.push([name, attributes['cache.name']]) }),
  }
  const observations = [
    observeMetrics({ meterProvider: { getMeter: () => meter } }),
    observeLoads({ tracerProvider: { getTracer: () => tracer } }),
  ]
  const one = new Cache({ name: 'smoke metrics' })
  await one.getOrSet('k', () => 1)
  const { values } = await registered.get('sark_cache_loads_total').get()
  const ofOne = values.filter(({ labels }) => labels.cache === 'smoke metrics')
  assert.deepEqual(
    ofOne.map(({ value }) => value),
    [1],
  )
  const told = []
  observed[0]({ observe: ({ name }, value) => told.push([name, value]) })
  assert.ok(told.some(([name, value]) => name === 'sark_cache.loads' && value === 1))
  // Not all runtimes have tracing channels.
  const expected =
    typeof diagnostics.tracingChannel === 'function' ? [['sark-cache load', 'smoke metrics']] : []
  assert.deepEqual(spans, expected)
  for (const each of [exposed, ...observations]) each.close()
  assert.deepEqual([registered.size, observed.length], [0, 0])
  one.close()
}

modules()
await cache()
values()
await policies()
await metrics()
await cleaning()
rustCache()
await workers()
await subpaths()
await tiers()

const types = [Cache, PolicyCache, CleanupTask, ...(isRustCacheAvailable() ? [RustCache] : [])]
assert.deepEqual(types.flatMap(unused), [], 'the smoke test does not use all of the API')
const error = rustCacheLoadError()
const causes = []
for (let cause = error?.cause; cause; cause = cause.cause) causes.push(String(cause.message))
console.log(JSON.stringify({ ok: true, engine, code: error?.code, causes }))
