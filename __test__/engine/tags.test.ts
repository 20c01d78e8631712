import { describe, expect, it } from 'vitest'
import { openEngine } from '../../src/engine/open.js'
import { engines } from '../support/engines.js'

describe.each(engines)('tags on the %s engine', (kind) => {
  /** A full engine of entries with tags of their own. */
  function filled(max: number) {
    const engine = openEngine({ max }, kind)
    for (let key = 0; key < max; key++) {
      const tags = [0, 1, 2, 3, 4, 5].map((tag) => `tag ${tag} of ${key}`)
      engine.set(`${key}`, 'v', undefined, undefined, tags)
    }
    const left = () => Array.from({ length: max }, (_, key) => engine.has(`${key}`)).filter(Boolean).length
    return { engine, left }
  }

  it.each([1_000, 5_000, 20_000])('of others cost next to nothing: %i entries', (max) => {
    const { engine, left } = filled(max)
    for (let tag = 0; tag < max / 5; tag++) engine.invalidateTag(`foreign ${tag}`)
    expect(left()).toBeGreaterThanOrEqual(max * 0.995)
    engine.invalidateTag('tag 3 of 7')
    expect(engine.has('7')).toBe(false)
    engine.close()
  })

  it('of others cost nothing that is read between them', () => {
    const { engine, left } = filled(1_000)
    for (let tag = 0; tag < 5_000; tag++) {
      engine.invalidateTag(`foreign ${tag}`)
      // Of so many tags two may have one hash, one time in a hundred.
      if (tag % 50 === 0) expect(left()).toBeGreaterThanOrEqual(998)
    }
    engine.close()
  })

  it('are never forgotten', () => {
    const { engine, left } = filled(300)
    for (let key = 0; key < 300; key++) engine.invalidateTag(`tag ${key % 6} of ${key}`)
    for (let tag = 0; tag < 20_000; tag++) engine.invalidateTag(`foreign ${tag}`)
    expect(left()).toBe(0)
    engine.close()
  })
})
