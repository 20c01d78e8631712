import { describe, expect, it } from 'vitest'
import type { Engine } from '../../src/engine/engine.js'
import { ENTRY_OVERHEAD, MAX_TAGS } from '../../src/engine/limits.js'
import { openEngine } from '../../src/engine/open.js'
import { Cache } from '../../src/index.js'
import { engines, thrown } from '../support/engines.js'

const names = (count: number) =>
  Array.from({ length: count }, (_, at) => (at % 2 ? `tag ${at}` : `тег ${at}`))

describe.each(engines)('tags on the %s engine', (kind) => {
  const open = (): Engine => openEngine({ max: 100 }, kind)

  it.each([1, 8, 9, 14, 15, MAX_TAGS])('%i of them each invalidate the entry', (count) => {
    const tags = names(count)
    for (const tag of [tags[0], tags[count >> 1], tags[count - 1]] as string[]) {
      const engine = open()
      engine.set('k', 'v', undefined, undefined, tags)
      expect(engine.get('k')).toBe('v')
      const fence = engine.fence()
      engine.invalidateTag(tag)
      expect(engine.get('k')).toBeUndefined()
      expect(engine.permits('k', fence, tags)).toBe(false)
      expect(engine.claim('k', 1_000, tags)).toBeDefined()
      engine.close()
    }
  })

  it.each([
    [0, 0],
    [8, 9],
    [14, 15],
    [15, 17],
    [MAX_TAGS, MAX_TAGS + 2],
  ])('%i of them take %i words', (count, words) => {
    const engine = open()
    engine.set('k', 'v', undefined, undefined, names(count))
    expect(engine.bytes()).toBe(2 + 4 * words + ENTRY_OVERHEAD)
    engine.close()
  })

  it('are 128 at the most', () => {
    const cache = new Cache<number>({ engine: kind })
    expect(cache.set('k', 1, { tags: names(128) })).toBe(true)
    const error = thrown(() => cache.set('k', 1, { tags: names(129) }))
    expect(error).toMatchObject({ name: 'RangeError', code: 'ERR_OUT_OF_RANGE' })
    expect(cache.get('k')).toBe(1)
    cache.close()
  })
})
