import { describe, expect, it } from 'vitest'
import { Cache, type CacheOptions } from '../../src/index.js'
import { engines } from '../support/engines.js'

describe.each(engines)('Cache on the %s engine', (engine) => {
  const open = <V = unknown>(options: CacheOptions = {}) => new Cache<V>({ engine, ...options })

  it('takes no fence of another cache for its own', () => {
    using busy = open<number>()
    for (let number = 0; number < 100; number++) busy.set(`${number}`, number)
    using cache = open<string>()
    expect(cache.set('k', 'allow', { fence: busy.fence(), tags: ['u'] })).toBe(false)
    expect(cache.has('k')).toBe(false)
  })

  it('refuses values whose load began before a change', () => {
    using cache = open<number>()
    const changes: (() => unknown)[] = [
      () => cache.set('k', 2),
      () => cache.delete('k'),
      () => cache.take('k'),
      () => cache.clear(),
      () => cache.invalidateTag('t'),
      () => cache.invalidateTags(['s', 't']),
      () => cache.set('k', 2, 0),
    ]
    for (const change of changes) {
      const fence = cache.fence()
      change()
      const after = cache.peek('k')
      expect(cache.set('k', 1, { fence, tags: ['t'] })).toBe(false)
      expect(cache.peek('k')).toBe(after)
      expect(cache.set('k', 1, { fence: cache.fence(), tags: ['t'] })).toBe(true)
    }
    expect(cache.stats().fenced).toBe(changes.length)
  })

  it('hides what carries an invalidated tag and nothing else', () => {
    using cache = open<string>()
    cache.set('a', 'a', { tags: ['x', 'y'] })
    cache.set('b', 'b', { tags: ['y'] })
    cache.set('c', 'c', { tags: ['\ud800'] })
    cache.set('d', 'd')
    cache.invalidateTag('x')
    cache.invalidateTag('\ud801')
    expect(cache.getMany(['a', 'b', 'c', 'd'])).toEqual([undefined, 'b', 'c', 'd'])
    cache.set('a', 'again', { tags: ['x', 'y'] })
    expect(cache.get('a')).toBe('again')
    expect(cache.stats().invalidations).toBe(1)
  })
})
