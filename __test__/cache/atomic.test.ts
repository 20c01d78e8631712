import path from 'node:path'
import { Worker } from 'node:worker_threads'
import { describe, expect, it, vi } from 'vitest'
import { Cache, type CacheOptions } from '../../src/index.js'
import { engines, sleep, thrown, uniqueName, withoutRust } from '../support/engines.js'

const dist = path.join(__dirname, '../../dist/index.js')

/** What `body` returns in a worker, where `cache` is the cache of this name. */
function inWorker<T>(name: string, body: string): Promise<T> {
  const worker = new Worker(
    `const { parentPort } = require('node:worker_threads')
     const { Cache } = require(${JSON.stringify(dist)})
     const cache = new Cache({ name: ${JSON.stringify(name)} })
     parentPort.postMessage((() => { ${body} })())`,
    { eval: true },
  )
  return new Promise((resolve, reject) => {
    worker.once('message', resolve)
    worker.once('error', reject)
  })
}

describe.each(engines)('on the %s engine', (engine) => {
  const open = <V = unknown>(options: CacheOptions = {}) => new Cache<V>({ engine, ...options })

  it.each([['json'], ['v8']] as const)('increment counts, with the %s serializer', async (serializer) => {
    using cache = open<unknown>({ serializer, ttl: 10_000 })
    expect(cache.increment('n')).toBe(1)
    expect(cache.increment('n', 41)).toBe(42)
    expect(cache.get('n')).toBe(42)
    expect(cache.increment('n', -0.5)).toBe(41.5)
    expect(cache.get('n')).toBe(41.5)
    cache.set('n', 7)
    expect(cache.get('n')).toBe(7)
    expect(cache.increment('n')).toBe(8)
    expect(cache.get('n')).toBe(8)
    cache.set('text', 'x')
    const error = thrown(() => cache.increment('text'))
    expect(error).toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' })
    expect(cache.get('text')).toBe('x')
    cache.set('huge', 1.7e308)
    expect(thrown(() => cache.increment('huge', 1.7e308))).toMatchObject({ code: 'ERR_OUT_OF_RANGE' })
    expect(thrown(() => cache.increment('n', Infinity))).toMatchObject({ code: 'ERR_OUT_OF_RANGE' })
  })

  it('increment counts what happens within a time from the first', async () => {
    using cache = open<number>()
    expect(cache.increment('n', 1, { ttl: 40 })).toBe(1)
    await sleep(25)
    expect(cache.increment('n', 1, { ttl: 40 })).toBe(2)
    await sleep(25)
    expect(cache.increment('n', 1, { ttl: 40 })).toBe(1)
  })

  it('setIfAbsent stores where there is nothing', async () => {
    using cache = open<string>()
    expect(cache.setIfAbsent('k', 'first', { ttl: 20, tags: ['t'] })).toBe(true)
    expect(cache.setIfAbsent('k', 'second')).toBe(false)
    expect(cache.get('k')).toBe('first')
    cache.invalidateTag('t')
    expect(cache.setIfAbsent('k', 'third', 20)).toBe(true)
    await sleep(30)
    expect(cache.setIfAbsent('k', 'fourth')).toBe(true)
    expect(cache.get('k')).toBe('fourth')
  })

  it('update replaces what is there, and leaves it where it says so', () => {
    using cache = open<{ list: number[] }>()
    const add = (number: number) =>
      cache.update('k', (value = { list: [] }) => {
        value.list.push(number)
        return value
      })
    expect(add(1)).toEqual({ list: [1] })
    expect(add(2)).toEqual({ list: [1, 2] })
    expect(cache.get('k')).toEqual({ list: [1, 2] })
    expect(cache.update('k', () => undefined)).toBeUndefined()
    expect(cache.get('k')).toEqual({ list: [1, 2] })
    expect(thrown(() => cache.update('k', () => Promise.resolve() as never))).toMatchObject({
      code: 'ERR_CACHE_NOT_SERIALIZABLE',
      message: expect.stringContaining('await it first'),
    })
    cache.update('k', () => ({ list: [] }), { ttl: 5_000, tags: ['t'] })
    expect(cache.getRemainingTTL('k')).toBeGreaterThan(4_000)
    cache.invalidateTag('t')
    expect(cache.has('k')).toBe(false)
  })

  it('update sees what changed meanwhile, and does not go on for ever', () => {
    using cache = open<number>()
    cache.set('k', 1)
    const change = vi.fn((value = 0) => {
      if (change.mock.calls.length === 1) cache.set('k', 10)
      return value + 1
    })
    expect(cache.update('k', change)).toBe(11)
    expect(change).toHaveBeenCalledTimes(2)
    const restless = (value = 0) => {
      cache.set('k', value)
      return value + 1
    }
    expect(thrown(() => cache.update('k', restless))).toMatchObject({ code: 'ERR_CACHE_OVERTAKEN' })
  })

  it('touch gives a value a new time, and nothing else', async () => {
    using cache = open<string>({ ttl: 10_000 })
    cache.set('k', 'v', { ttl: 30, tags: ['t'] })
    expect(cache.get('k')).toBe('v')
    expect(cache.touch('k', 10_000)).toBe(true)
    await sleep(40)
    expect(cache.get('k')).toBe('v')
    // Shorter, too, and for copies that were decoded before.
    expect(cache.touch('k', 10)).toBe(true)
    await sleep(20)
    expect(cache.get('k')).toBeUndefined()
    expect(cache.touch('k')).toBe(false)
    cache.set('k', 'v', { ttl: 60, tags: ['t'] })
    await sleep(30)
    expect(cache.touch('k')).toBe(true)
    expect(cache.getRemainingTTL('k')).toBeGreaterThan(40)
    cache.invalidateTag('t')
    expect(cache.touch('k')).toBe(false)
    cache.set('k', 'v')
    expect(cache.touch('k', 0)).toBe(true)
    expect(cache.has('k')).toBe(false)
  })

  it('updateAgeOnGet lets a value live as long as it is read', async () => {
    using cache = open<string>({ ttl: 60, updateAgeOnGet: true })
    expect(cache.settings.updateAgeOnGet).toBe(true)
    cache.set('read', 'v')
    cache.set('peeked', 'v')
    cache.set('listed', 'v')
    for (let turn = 0; turn < 5; turn++) {
      await sleep(25)
      expect(cache.get('read')).toBe('v')
      cache.getMany(['listed'])
      cache.peek('peeked')
      cache.has('peeked')
    }
    expect(cache.get('listed')).toBe('v')
    expect(cache.has('peeked')).toBe(false)
    await sleep(80)
    expect(cache.get('read')).toBeUndefined()
  })
})

describe.skipIf(withoutRust)('of several threads', () => {
  it('increment, update and setIfAbsent lose nothing', async () => {
    const name = uniqueName()
    using cache = new Cache<number>({ name, max: 1_000 })
    const count = 20_000
    const body = `
      let first = 0
      for (let n = 0; n < ${count}; n++) {
        cache.increment('incremented', 1)
        cache.update('updated', (value = 0) => value + 1)
        if (cache.setIfAbsent('k' + n % 500, 1)) first++
      }
      return first`
    const firsts = await Promise.all([1, 2, 3].map(() => inWorker<number>(name, body)))
    expect(cache.get('incremented')).toBe(3 * count)
    expect(cache.get('updated')).toBe(3 * count)
    expect(firsts.reduce((sum, first) => sum + first)).toBe(500)
  })
})
