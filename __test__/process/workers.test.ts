import { once } from 'node:events'
import path from 'node:path'
import { Worker } from 'node:worker_threads'
import { describe, expect, it } from 'vitest'
import { Cache, PolicyCache } from '../../src/index.js'
import { uniqueName, withoutRust } from '../support/engines.js'

const dist = path.join(__dirname, '../../dist/index.js')

/** Runs `body` in a worker that has `cache` open by name, and gives back what it returns. */
async function inWorker(name: string, body: string): Promise<unknown> {
  const source = `
    const { parentPort, workerData, threadId } = require('node:worker_threads')
    const { Cache, PolicyCache } = require(${JSON.stringify(dist)})
    const cache = new Cache({ name: workerData })
    ;(async () => { ${body} })().then((result) => parentPort.postMessage({ result }), (error) => parentPort.postMessage({ error }))
  `
  const worker = new Worker(source, { eval: true, workerData: name })
  const exited = once(worker, 'exit')
  const [{ result, error }] = (await once(worker, 'message')) as [{ result?: unknown; error?: unknown }]
  await exited
  if (error !== undefined) throw error
  return result
}

describe.skipIf(withoutRust)('worker threads', () => {
  it('share a cache by name, and its options', async () => {
    const name = uniqueName()
    using cache = new Cache<unknown>({ name, max: 500, ttl: 60_000 })
    cache.set('from main', { n: 1 })
    const result = await inWorker(
      name,
      `cache.set('from worker', { n: 2 })
       cache.delete('gone')
       return [cache.get('from main'), cache.settings, cache.engine]`,
    )
    expect(result).toEqual([{ n: 1 }, cache.settings, 'rust'])
    expect(cache.get('from worker')).toEqual({ n: 2 })
    expect(cache.stats()).toMatchObject({ sets: 2, hits: 2 })
  })

  it('learn at once of what others delete, clear and invalidate', async () => {
    const name = uniqueName()
    using cache = new Cache<number>({ name })
    for (const key of ['a', 'b', 'c']) cache.set(key, 1, { tags: [key] })
    await inWorker(name, `cache.delete('a'); cache.invalidateTag('b')`)
    expect(cache.getMany(['a', 'b', 'c'])).toEqual([undefined, undefined, 1])
    const fence = cache.fence()
    await inWorker(name, `cache.clear()`)
    expect(cache.size).toBe(0)
    expect(cache.set('c', 1, { fence })).toBe(false)
  })

  it('fence out a load that another thread overtook', async () => {
    const name = uniqueName()
    using cache = new Cache<string>({ name })
    let loads = 0
    const value = await cache.getOrSet(
      'k',
      async () => {
        if (++loads > 1) return 'fresh'
        await inWorker(name, `cache.invalidateTag('t')`)
        return 'old'
      },
      { tags: ['t'] },
    )
    expect([value, cache.get('k'), loads]).toEqual(['fresh', 'fresh', 2])
  })

  it('keep the bound together', async () => {
    const name = uniqueName()
    using cache = new Cache<number>({ name, max: 100 })
    const body = `for (let n = 0; n < 20_000; n++) cache.set(threadId + ':' + n, n); return cache.size`
    const workers = [1, 2, 3].map(() => inWorker(name, body))
    let most = 0
    let running = true
    const all = Promise.all(workers).finally(() => {
      running = false
    })
    while (running) {
      most = Math.max(most, cache.size)
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(await all).toEqual([100, 100, 100])
    expect(most).toBeLessThanOrEqual(100)
    expect(cache.size).toBe(100)
  })

  it('leave the cache to the others when they end, and free it with the last', async () => {
    const name = uniqueName()
    await inWorker(name, `cache.set('k', 1)`)
    expect(await inWorker(name, `return cache.get('k')`)).toBeUndefined()
    using cache = new Cache<number>({ name })
    await inWorker(name, `cache.set('k', 2); cache.close()`)
    expect(cache.get('k')).toBe(2)
  })

  it('may be terminated in mid-call', async () => {
    const name = uniqueName()
    using cache = new Cache<string>({ name, max: 1_000 })
    const source = `
      const { workerData } = require('node:worker_threads')
      const { Cache } = require(${JSON.stringify(dist)})
      const cache = new Cache({ name: workerData })
      for (let n = 0; ; n++) {
        const key = 'k' + (n % 3_000)
        if (cache.get(key) === undefined) cache.set(key, key, { ttl: 5, tags: [key] })
        if (n % 1_000 === 0) cache.invalidateTag(key)
      }`
    for (let round = 0; round < 15; round++) {
      const worker = new Worker(source, { eval: true, workerData: name })
      await once(worker, 'online')
      await new Promise((resolve) => setTimeout(resolve, round * 3))
      await worker.terminate()
      expect(cache.size).toBeLessThanOrEqual(1_000)
    }
    cache.clear()
    expect([cache.size, cache.bytes]).toEqual([0, 0])
    for (let n = 0; n < 1_500; n++) cache.set(`k${n}`, 'again')
    expect(cache.size).toBe(1_000)
    for (const [key, value] of cache) expect([key, value]).toEqual([key, 'again'])
  })

  it('count the metrics of decisions for all, in whichever they happened', async () => {
    const name = uniqueName()
    using decisions = new PolicyCache({ name })
    using others = new PolicyCache({ name, namespace: 'others' })
    const asked = `({ user: 'u', action: 'a', resource: 'r' })`
    const body = `
      const decisions = new PolicyCache({ name: workerData })
      for (let n = 0; n < 100; n++) await decisions.decide(${asked}, { evaluate: () => ({ allowed: true }) })
      await decisions.invalidate({ user: 'u' })
      return decisions.getMetrics()`
    await Promise.all([inWorker(name, body), inWorker(name, body), inWorker(name, body)])
    const metrics = decisions.getMetrics()
    expect(metrics.hits + metrics.misses).toBe(300)
    expect(metrics.hits).toBeGreaterThan(250)
    expect(metrics).toMatchObject({ invalidations: 3, errors: 0 })
    // Of 64 reads of a thread one is timed, beginning with the first.
    expect(metrics.getLatency.samples).toBe(6)
    expect(metrics.evaluationLatency.samples).toBe(metrics.evaluations)
    expect(others.getMetrics()).toMatchObject({ hits: 0, misses: 0 })
    decisions.resetMetrics()
    expect(await inWorker(name, `return new PolicyCache({ name: workerData }).getMetrics()`)).toMatchObject({
      hits: 0,
      misses: 0,
      getLatency: { samples: 0 },
    })
  })
})
