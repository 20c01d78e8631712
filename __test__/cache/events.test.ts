import { subscribe, tracingChannel, unsubscribe } from 'node:diagnostics_channel'
import { describe, expect, it } from 'vitest'
import { Cache, type LoadMessage, PolicyCache } from '../../src/index.js'
import { engines, sleep, uniqueName } from '../support/engines.js'

/** What is told on a channel while `body` runs. */
async function told<T>(channel: string, body: () => unknown): Promise<T[]> {
  const messages: T[] = []
  const listen = (message: unknown) => messages.push(message as T)
  subscribe(channel, listen)
  try {
    await body()
  } finally {
    unsubscribe(channel, listen)
  }
  return messages
}

describe.each(engines)('channels on the %s engine', (engine) => {
  it('tell of opening and closing', async () => {
    const name = uniqueName()
    const messages = await told('sark-cache:open', () => new Cache({ engine, name, max: 5 }).close())
    expect(messages).toMatchObject([{ name, engine, max: 5 }])
    const cache = new Cache({ engine, name })
    expect(
      await told('sark-cache:close', () => {
        cache.close()
        cache.close()
      }),
    ).toEqual([{ name }])
  })

  it('tell of what is invalidated, by digest unless asked', async () => {
    using cache = new Cache<number>({ engine })
    cache.set('secret', 1)
    const change = (of: Cache<number>) => () => {
      of.invalidateTag('group')
      of.delete('secret')
      of.deleteMany(['a', 'b'])
      of.take('secret')
      of.clear()
    }
    type Message = { kind: string; what?: string }
    const hidden = await told<Message>('sark-cache:invalidate', change(cache))
    expect(hidden.map(({ kind }) => kind)).toEqual(['tag', 'key', 'key', 'key', 'key', 'clear'])
    expect(JSON.stringify(hidden)).not.toMatch(/secret|group/)
    expect(hidden[1]?.what).toMatch(/^[\w-]{22}$/)
    expect(hidden[4]?.what).toBe(hidden[1]?.what)
    using open = new Cache<number>({ engine, traceKeys: true })
    const shown = await told<Message>('sark-cache:invalidate', change(open))
    expect(shown.map(({ what }) => what)).toEqual(['group', 'secret', 'a', 'b', 'secret', undefined])
    using decisions = new PolicyCache({ engine })
    expect(await told('sark-cache:invalidate', () => decisions.invalidate({ user: 'alice' }))).toMatchObject([
      { kind: 'tag' },
    ])
  })

  it('trace loads, from their start to their end or error', async () => {
    using cache = new Cache<number>({ engine, traceKeys: true })
    const seen: [string, LoadMessage][] = []
    const note = (what: string) => (message: unknown) => seen.push([what, message as LoadMessage])
    const channel = tracingChannel('sark-cache:load')
    const handlers = {
      start: note('start'),
      end: note('end'),
      asyncStart: note('asyncStart'),
      asyncEnd: note('asyncEnd'),
      error: note('error'),
    }
    channel.subscribe(handlers as never)
    try {
      expect(await cache.getOrSet('k', async () => 1)).toBe(1)
      expect(await cache.getOrSet('k', async () => 1)).toBe(1)
      expect(seen.map(([what]) => what)).toEqual(['start', 'end', 'asyncStart', 'asyncEnd'])
      expect(seen[0]?.[1]).toMatchObject({ key: 'k', isRefresh: false })
      seen.length = 0
      await expect(
        cache.getOrSet('l', () => {
          throw new Error('down')
        }),
      ).rejects.toThrow('down')
      expect(seen.map(([what]) => what)).toContain('error')
      expect(seen.find(([what]) => what === 'error')?.[1]).toMatchObject({ error: { message: 'down' } })
    } finally {
      channel.unsubscribe(handlers as never)
    }
  })

  it('tell of errors that reach nobody', async () => {
    using cache = new Cache<number>({ engine, ttl: 10_000 })
    const messages = await told<{ key: string; error: Error }>('sark-cache:background-error', async () => {
      cache.set('k', 1)
      const down = () => Promise.reject(new Error('down'))
      await cache.getOrSet('k', down, { refreshAhead: 1 })
      await sleep(1)
      await cache.getOrSet('other', down).catch(() => {})
      await cache.getOrSet('slow', () => sleep(5).then(down), { timeout: 1 }).catch(() => {})
      await sleep(10)
    })
    expect(messages.map(({ error }) => error.message)).toEqual(['down', 'down'])
  })

  it('tell of evictions in batches', async () => {
    using cache = new Cache<number>({ engine, max: 10 })
    for (let number = 0; number < 15; number++) cache.set(`before ${number}`, number)
    type Message = { max: number; maxSize: number; expired: number }
    const messages = await told<Message>('sark-cache:evict', async () => {
      for (let number = 0; number < 30; number++) cache.set(`k${number}`, number)
      await sleep(150)
      cache.set('one more', 1)
      await sleep(150)
    })
    expect(messages.length).toBe(2)
    // The first write that somebody watches is where the counting begins.
    expect(messages[0]).toEqual({ name: undefined, max: 30, maxSize: 0, expired: 0 })
    expect(messages[1]).toMatchObject({ max: 1 })
  })

  it('are told nothing of a hit', async () => {
    using cache = new Cache<number>({ engine })
    cache.set('k', 1)
    const channels = ['open', 'close', 'invalidate', 'evict', 'background-error', 'cleanup']
    const messages: unknown[] = []
    const listen = (message: unknown) => messages.push(message)
    for (const channel of channels) subscribe(`sark-cache:${channel}`, listen)
    await cache.getOrSet('k', () => 2)
    cache.get('k')
    cache.peek('k')
    for (const channel of channels) unsubscribe(`sark-cache:${channel}`, listen)
    expect(messages).toEqual([])
  })
})
