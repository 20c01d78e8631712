import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Engine, EngineOptions } from '../../src/engine/engine.js'
import { openEngine } from '../../src/engine/open.js'
import { withoutRust } from '../support/engines.js'

const key = fc.constantFrom(...'abcdef')
const tag = fc.constantFrom('red', 'green')
const ttl = fc.option(fc.oneof(fc.integer({ min: 0, max: 40 }), fc.constantFrom(4_097, 60_000, Infinity)), {
  nil: undefined,
})
const grace = fc.option(fc.integer({ min: 0, max: 30 }), { nil: undefined })
const value = fc.constantFrom('1', '-2.5', '"text"', '[]', '1e21')
const tags = fc.option(fc.array(tag, { maxLength: 2 }), { nil: undefined })
const by = fc.constantFrom(1, -1, 0.25, 1e300)

/** What is done to an engine, as its name, and how. */
type Step = [name: string, run: (engine: Engine) => unknown]

function step<T extends unknown[]>(
  name: string,
  args: { [K in keyof T]: fc.Arbitrary<T[K]> },
  run: (engine: Engine, ...args: T) => unknown,
): fc.Arbitrary<Step> {
  return fc.tuple<T>(...args).map((args) => [`${name}(${args})`, (engine) => run(engine, ...args)])
}

const call = fc.oneof(
  step('get', [key], (engine, key) => engine.get(key)),
  step('getMany', [key, key], (engine, one, other) => engine.getMany([one, other])),
  step('take', [key], (engine, key) => engine.take(key)),
  step('delete', [key], (engine, key) => engine.delete(key)),
  step('set', [key, value, ttl, tags, grace], (engine, key, value, ttl, tags, grace) =>
    engine.set(key, value, ttl, undefined, tags, grace),
  ),
  step('setIfAbsent', [key, value, ttl, tags, grace], (engine, ...args) => engine.setIfAbsent(...args)),
  step('touch', [key, ttl], (engine, key, ttl) => engine.touch(key, ttl)),
  step('touch', [key], (engine, key) => engine.touch(key)),
  step('increment', [key, by, ttl], (engine, ...args) => engine.increment(...args)),
  step('invalidateTag', [tag], (engine, tag) => engine.invalidateTag(tag)),
  step('extend', [fc.integer({ min: 0, max: 100 })], ({ tier }, ms) => tier?.extend(1, tier.time() + ms)),
  step('saw', [fc.constantFrom(1, 1, 1, 1, 2)], ({ tier }, epoch) => tier?.saw(epoch, 1)),
  step('suspend', [], ({ tier }) => tier?.suspend()),
  step('purge', [fc.constantFrom(0, 100)], (engine, budget) => engine.purge(budget).removed),
)

/** What a call returns, or the code of what it throws. */
function result(run: () => unknown): unknown {
  try {
    return run()
  } catch (error) {
    return (error as { code?: string }).code
  }
}

/** All that is to be known of an engine without changing it. */
function state(engine: Engine): unknown {
  const facts = [...'abcdef'].map((key) => [
    engine.getStale(key),
    engine.peek(key),
    engine.has(key),
    engine.remainingTtl(key),
    engine.isDue(key, 0.5),
  ])
  return {
    facts,
    keys: [...engine.keys()].sort(),
    size: engine.size(),
    bytes: engine.bytes(),
    stats: engine.stats(),
  }
}

describe.skipIf(withoutRust)('both engines', () => {
  it('do and say the same', () => {
    const wait = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 20 }), fc.constantFrom(3_000, 60_000))
    const options: fc.Arbitrary<EngineOptions> = fc.record({
      max: fc.integer({ min: 3, max: 8 }),
      ttl: fc.option(fc.integer({ min: 1, max: 50 }), { nil: undefined }),
      updateAgeOnGet: fc.boolean(),
      tiered: fc.boolean(),
    })
    fc.assert(
      fc.property(options, fc.array(fc.tuple(call, wait), { maxLength: 80 }), (options, steps) => {
        const clock = { ms: 0, now: () => clock.ms }
        const engines = (['rust', 'js'] as const).map((kind) => openEngine({ ...options, clock }, kind))
        const [rust, js] = engines as [Engine, Engine]
        for (const { tier } of engines) {
          tier?.saw(1, 1)
          tier?.extend(1, 10_000)
        }
        const done: string[] = []
        for (const [[name, run], ms] of steps) {
          clock.ms += ms
          done.push(`+${ms} ${name}`)
          // What is expired goes when it is come by, which need not be at the same time.
          for (const engine of engines) engine.purge(1_000)
          const [got, expected] = engines.map((engine) => result(() => run(engine)))
          expect(got, done.join('\n')).toEqual(expected)
          expect(state(rust), done.join('\n')).toEqual(state(js))
        }
        for (const engine of engines) engine.close()
      }),
      { numRuns: 500 },
    )
  })
})
