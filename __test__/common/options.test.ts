import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { suggestion } from '../../src/common/options.js'
import { Cache, CleanupTask, PolicyCache, RustCache } from '../../src/index.js'
import { engines, thrown, withoutRust } from '../support/engines.js'

const asked = { user: 'u', action: 'a', resource: 'r' }
const allow = { allowed: true }
const coded = { code: expect.stringMatching(/^ERR_/) }

/** The error of a call, thrown or as a rejection. */
async function failure(call: () => unknown): Promise<Error & { code?: string }> {
  try {
    await call()
  } catch (error) {
    return error as Error
  }
  throw new Error('nothing was thrown')
}

describe.each(engines)('options on the %s engine', (engine) => {
  it.each<[string, (cache: Cache<unknown>, decisions: PolicyCache) => unknown, RegExp]>([
    [
      'new PolicyCache({ ttl: 5 })',
      () => new PolicyCache({ engine, ttl: 5 as never }),
      /ttl must be an object of ms by sensitivity.* not 5$/,
    ],
    [
      'new PolicyCache({ denyTTL })',
      () => new PolicyCache({ engine, denyTTL: 5 } as never),
      /no option "denyTTL"; did you mean denyTtl\?/,
    ],
    [
      'new PolicyCache({ maxAge })',
      () => new PolicyCache({ engine, maxAge: 5 } as never),
      /no option "maxAge"; did you mean ttl\?/,
    ],
    ['new Cache({ maxAge })', () => new Cache({ engine, maxAge: 5 } as never), /did you mean ttl\?/],
    ['new Cache({ stdTTL })', () => new Cache({ engine, stdTTL: 5 } as never), /did you mean ttl\?/],
    ['new Cache({ maxsize })', () => new Cache({ engine, maxsize: 500 } as never), /did you mean maxSize\?/],
    [
      'new Cache({ near: 5 })',
      () => new Cache({ engine, near: 5 as never }),
      /near must be false or an object .* not 5$/,
    ],
    [
      'new Cache({ near: true })',
      () => new Cache({ engine, near: true as never }),
      /near must be false or an object/,
    ],
    [
      'new Cache({ near: { maximum } })',
      () => new Cache({ engine, near: { maximum: 5 } as never }),
      /near has no option "maximum"; did you mean max\?/,
    ],
    ['new Cache([])', () => new Cache([] as never), /options of Cache must be an object, not an array/],
    [
      'new Cache({ ttl: null })',
      () => new Cache({ engine, ttl: null as never }),
      /ttl must be a number of ms, not null/,
    ],
    ['new Cache({ max: 1n })', () => new Cache({ engine, max: 1n as never }), /max must be a number, not 1n/],
    [
      'new Cache({ name: lone surrogate })',
      () => new Cache({ engine, name: 'a\ud800' }),
      /name must not hold a lone surrogate/,
    ],
    [
      'new Cache({ maxSize: 50 })',
      () => new Cache({ engine, maxSize: 50 }),
      /maxSize must be more than the 96 bytes that every entry takes, not 50/,
    ],
    [
      'new Cache({ maxEntrySize: 96 })',
      () => new Cache({ engine, maxEntrySize: 96 }),
      /maxEntrySize must be more than/,
    ],
    [
      'new Cache({ clock: {} })',
      () => new Cache({ engine, clock: {} as never }),
      /clock must have a method now\(\)/,
    ],
    [
      'new Cache({ clock, name })',
      () => new Cache({ engine, clock: Date, name: 'x' }),
      /the cache "x" cannot have a clock/,
    ],
    [
      'set(k, v, { expires })',
      (cache) => cache.set('k', 1, { expires: 5 } as never),
      /set has no option "expires"; did you mean expiresAt\?/,
    ],
    ['set(k, v, { tag })', (cache) => cache.set('k', 1, { tag: 'a' } as never), /did you mean tags\?/],
    [
      'set(k, v, { tags: "a" })',
      (cache) => cache.set('k', 1, { tags: 'a' as never }),
      /tags must be an array, not "a"/,
    ],
    [
      'set(k, v, "5")',
      (cache) => cache.set('k', 1, '5' as never),
      /must be a number of ms or an object, not "5"/,
    ],
    [
      'setMany([{ key, val }])',
      (cache) => cache.setMany([{ key: 'k', val: 1 } as never]),
      /no option "val"; did you mean value\?/,
    ],
    [
      'getOrSet({ tag })',
      (cache) => cache.getOrSet('k', () => 1, { tag: 'a' } as never),
      /getOrSet has no option "tag"; did you mean tags\?/,
    ],
    [
      'getOrSet({ signal: controller })',
      (cache) => cache.getOrSet('k', () => 1, { signal: new AbortController() as never }),
      /signal must be an AbortSignal, not an instance of AbortController; give the signal of the controller/,
    ],
    [
      'getOrSet({ signal: null })',
      (cache) => cache.getOrSet('k', () => 1, { signal: null as never }),
      /signal must be an AbortSignal, not null/,
    ],
    [
      'getOrSet({ swr })',
      (cache) => cache.getOrSet('k', () => 1, { swr: 5 } as never),
      /did you mean staleWhileRevalidate\?/,
    ],
    [
      'wrap({ keys })',
      (cache) => cache.wrap(() => 1, { key: () => 'k', keys: 1 } as never),
      /wrap has no option "keys"; did you mean key\?/,
    ],
    [
      'wrap({ signal })',
      (cache) => cache.wrap(() => 1, { key: () => 'k', signal: 1 } as never),
      /wrap has no option "signal"/,
    ],
    [
      'decide(q, { fresh })',
      (_, decisions) => decisions.decide(asked, { fresh: true } as never),
      /decide has no option "fresh"; did you mean freshness\?/,
    ],
    [
      'decide(q, null)',
      (_, decisions) => decisions.decide(asked, null as never),
      /options of decide must be an object, not null/,
    ],
    [
      'PolicyCache.set(q, d, 0)',
      (_, decisions) => decisions.set(asked, allow, 0 as never),
      /options of set must be an object, not 0/,
    ],
    [
      'PolicyCache.set(q, d, { expiresAt })',
      (_, decisions) => decisions.set(asked, allow, { expiresAt: 0 } as never),
      /set has no option "expiresAt"/,
    ],
    [
      'PolicyCache.setMany({ querry })',
      (_, decisions) => decisions.setMany([{ querry: asked, decision: allow } as never]),
      /did you mean query\?/,
    ],
    [
      'invalidate({ usr })',
      (_, decisions) => decisions.invalidate({ usr: 'a' } as never),
      /unknown field "usr"; did you mean user\?/,
    ],
    [
      'get({ users })',
      (_, decisions) => decisions.get({ ...asked, users: 1 } as never),
      /unknown field "users"; did you mean user\?/,
    ],
    ['increment(k, NaN)', (cache) => cache.increment('k', Number.NaN), /by must be a number, not NaN/],
    [
      'increment(k, 1, { tags })',
      (cache) => cache.increment('k', 1, { tags: ['a'] } as never),
      /increment has no option "tags"/,
    ],
    [
      'setIfAbsent({ fence })',
      (cache) => cache.setIfAbsent('k', 1, { fence: 0 } as never),
      /setIfAbsent takes no fence/,
    ],
    [
      'update({ fence })',
      (cache) => cache.update('k', () => 1, { fence: 0 } as never),
      /update takes a fence of its own/,
    ],
    [
      'new CleanupTask(cache, { intervall })',
      (cache) => new CleanupTask(cache, { intervall: 5 } as never),
      /did you mean interval\?/,
    ],
    ['new CleanupTask(5)', () => new CleanupTask(5 as never), /the cache must be an object, not 5/],
  ])('%s is refused, at once, by name', async (_, call, message) => {
    using cache = new Cache<unknown>({ engine })
    using decisions = new PolicyCache({ engine, evaluate: () => allow })
    const error = await failure(() => call(cache, decisions))
    expect(error).toMatchObject(coded)
    expect(error.message).toMatch(message)
    expect([cache.size, await decisions.size()]).toEqual([0, 0])
  })

  it('that are undefined are as those left out', () => {
    using cache = new Cache<number>({
      engine,
      name: undefined,
      max: undefined,
      ttl: undefined,
      near: undefined,
      loading: undefined,
      clock: undefined,
    })
    expect(
      cache.set('k', 1, { ttl: undefined, tags: undefined, fence: undefined, expiresAt: undefined }),
    ).toBe(true)
    expect(cache.get('k')).toBe(1)
  })

  it('take a TTL that no clock reaches for for ever', () => {
    using cache = new Cache<number>({ engine, ttl: 1e300 })
    expect(cache.settings.ttl).toBe(Infinity)
    cache.set('k', 1, 1e300)
    expect(cache.getRemainingTTL('k')).toBe(Infinity)
  })

  it('read maxEntrySize as it is in force', () => {
    using cache = new Cache({ engine, maxSize: 1_000 })
    expect(cache.settings.maxEntrySize).toBe(1_000)
    using smaller = new Cache({ engine, maxSize: 1_000, maxEntrySize: 200 })
    expect(smaller.settings.maxEntrySize).toBe(200)
    using none = new Cache({ engine, max: 5 })
    expect(none.settings.maxEntrySize).toBe(Infinity)
  })

  const revoked = () => {
    const { proxy, revoke } = Proxy.revocable({}, {})
    revoke()
    return proxy
  }
  const thrower = () =>
    Object.defineProperty({}, 'ttl', {
      enumerable: true,
      get() {
        throw new Error('mine')
      },
    })
  /** Makes a value where it is used: the test's own tools would stumble over some. */
  type Made = () => unknown
  const made = (makers: Made[]) => fc.constantFrom(...makers)
  const hostile: fc.Arbitrary<Made> = fc.oneof(
    fc
      .anything({ withBigInt: true, withDate: true, withMap: true, withSet: true, withTypedArray: true })
      .map((value) => () => value),
    made([null, undefined, 1n, Symbol('s'), Number.NaN, -1, '', [], {}, () => 1].map((value) => () => value)),
    made([revoked, thrower, () => new Proxy({}, { ownKeys: () => ['ttl', 'max'], get: () => 1n })]),
  )
  const names = ['ttl', 'max', 'tags', 'fence', 'name', 'near', 'signal', 'status', 'key', 'user', 'all']
  const more = ['evaluate', 'loading', 'clock', 'json', 'value', 'query', 'decision', 'timeout']
  const fields: fc.Arbitrary<Made> = fc
    .dictionary(fc.constantFrom(...names, ...more), hostile)
    .map((makers) => () => Object.fromEntries(Object.entries(makers).map(([name, make]) => [name, make()])))

  it('no hostile input leads to an error without a code', async () => {
    using cache = new Cache<unknown>({ engine, max: 50 })
    using decisions = new PolicyCache({ engine, max: 50, hardTimeout: 50 })
    const calls: ((a: never, b: never, c: never) => unknown)[] = [
      (a) => new Cache(a).close(),
      (a) => new PolicyCache(a).close(),
      (a, b) => cache.set('k', a, b),
      (a, b) => cache.set(a, b),
      (a, b) => cache.setIfAbsent('k', a, b),
      (a, b) => cache.increment('n', a, b),
      (a, b) => cache.touch(a, b),
      (a, b) => cache.update(a, () => 1, b),
      (a) => cache.get(a),
      (a) => cache.getMany(a),
      (a) => cache.setMany(a),
      (a, b) => cache.setMany([a, b]),
      (a, b, c) => cache.getOrSet(a, () => [b], c),
      (a, b) => cache.getOrSet('k', () => ({ a }), b),
      (a) => cache.wrap(() => 1, a),
      (a) => cache.invalidateTag(a),
      (a) => cache.invalidateTags(a),
      (a) => cache.purgeSlice(typeof a === 'number' && (a as number) > 1 ? (0 as never) : a),
      (a) => cache.namespace(a),
      (a) => decisions.get(a),
      (a, b, c) => decisions.set(a, b, c),
      (a) => decisions.set(asked, a),
      (a, b) => decisions.decide(asked, { evaluate: () => ({ allowed: a }) as never, signal: b }),
      (a, b) => decisions.decide(a, b),
      (a) => decisions.invalidate(a),
      (a) => decisions.preload(a, () => allow),
      (a, b) => new CleanupTask(a, b),
    ]
    const uncoded: string[] = []
    let refused = 0
    await fc.assert(
      fc.asyncProperty(
        fc.nat({ max: calls.length - 1 }),
        fc.oneof(hostile, fields),
        fc.oneof(hostile, fields),
        fc.oneof(hostile, fields),
        async (which, a, b, c) => {
          try {
            await calls[which]?.(a() as never, b() as never, c() as never)
          } catch (error) {
            refused++
            const { code } = Object(error) as { code?: unknown }
            // The reason of a signal of the caller's is the caller's.
            if (typeof code !== 'string') uncoded.push(`${calls[which]}: ${String(error)}`)
          }
        },
      ),
      { numRuns: 5_000 },
    )
    expect([...new Set(uncoded)]).toEqual([])
    expect(refused).toBeGreaterThan(1_000)
  })
})

describe.skipIf(withoutRust)('RustCache', () => {
  it('refuses options that there are not', () => {
    expect(thrown(() => new RustCache({ maxAge: 5 } as never))).toMatchObject({
      code: 'ERR_CACHE_UNKNOWN_OPTION',
    })
    expect(thrown(() => new RustCache({ ttl: 0 }))).toMatchObject({ code: 'ERR_OUT_OF_RANGE' })
  })
})

describe('the nearest name', () => {
  it.each([
    ['denyTTL', ['ttl', 'denyTtl'], 'denyTtl'],
    ['maxSise', ['max', 'maxSize', 'maxEntrySize'], 'maxSize'],
    ['expires', ['ttl', 'expiresAt'], 'expiresAt'],
    ['xyz', ['ttl', 'max'], undefined],
  ])('to %s among %j is %s', (name, names, expected) => {
    expect(suggestion(name, names)).toBe(expected)
  })
})
