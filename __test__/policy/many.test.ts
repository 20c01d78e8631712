import { describe, expect, it } from 'vitest'
import { type Decision, PolicyCache, type PolicyCacheOptions, type PolicyQuery } from '../../src/index.js'
import { engines, thrown, uniqueName } from '../support/engines.js'

interface Answer extends Decision {
  readonly user: string
}

const queries = (count: number): PolicyQuery[] =>
  Array.from({ length: count }, (_, at) => ({ user: `user ${at}`, action: 'read', resource: 'doc' }))

describe.each(engines)('decisions read at once on the %s engine', (engine) => {
  function open(options: PolicyCacheOptions<Answer> = {}) {
    let [running, most] = [0, 0]
    const asked: string[] = []
    const decisions = new PolicyCache<Answer>({
      engine,
      evaluate: async ({ user }) => {
        asked.push(user)
        most = Math.max(most, ++running)
        await new Promise((resolve) => setTimeout(resolve, 1))
        running--
        return { allowed: true, user }
      },
      ...options,
    })
    return { decisions, asked, most: () => most }
  }

  it('cached serves what is there, at once, and evaluates nothing', async () => {
    const { decisions, asked } = open()
    const [query] = queries(1) as [PolicyQuery]
    expect(decisions.cached(query)).toBeUndefined()
    const decision = await decisions.decide(query)
    expect(decisions.cached(query)).toEqual(decision)
    expect(Object.isFrozen(decisions.cached(query))).toBe(true)
    await decisions.invalidate({ user: 'user 0' })
    expect(decisions.cached(query)).toBeUndefined()
    expect(asked).toEqual(['user 0'])
    expect(decisions.getMetrics()).toMatchObject({ hits: 2, misses: 3 })
    decisions.close()
    expect(thrown(() => decisions.cached(query)).code).toBe('ERR_CACHE_CLOSED')
  })

  it('cached serves no decision of an older revision', async () => {
    const { decisions } = open()
    const [query] = queries(1) as [PolicyQuery]
    await decisions.set(query, { allowed: true, user: 'user 0', revision: 3 })
    expect(decisions.cached(query, { minRevision: 3 })?.allowed).toBe(true)
    expect(decisions.cached(query, { minRevision: 4 })).toBeUndefined()
    const wrong = thrown(() => decisions.cached(query, { minRevison: 3 } as never))
    expect([wrong.code, wrong.message]).toEqual([
      'ERR_CACHE_UNKNOWN_OPTION',
      expect.stringContaining('minRevision'),
    ])
    expect(thrown(() => decisions.cached({ user: 'x' } as never)).code).toBe('ERR_INVALID_ARG_TYPE')
    decisions.close()
  })

  it('decideMany answers in order, and evaluates what is missing once, a few at a time', async () => {
    const { decisions, asked, most } = open()
    const all = queries(100)
    for (const query of all.slice(0, 40)) await decisions.decide(query)
    asked.length = 0
    const answers = await decisions.decideMany([...all, ...all.slice(90)])
    expect(answers.map(({ user }) => user)).toEqual([...all, ...all.slice(90)].map(({ user }) => user))
    expect(answers.every((answer) => Object.isFrozen(answer))).toBe(true)
    expect(asked.toSorted()).toEqual(
      all
        .slice(40)
        .map(({ user }) => user)
        .toSorted(),
    )
    expect(most()).toBeGreaterThan(1)
    expect(most()).toBeLessThanOrEqual(16)
    expect(decisions.getMetrics()).toMatchObject({ hits: 40, misses: 110, evaluations: 100 })
    expect(await decisions.decideMany([])).toEqual([])
    decisions.close()
  })

  it('decideMany takes the options of decide, but for a status', async () => {
    const { decisions, asked } = open({ refreshAhead: 0.5 })
    const all = queries(3)
    await decisions.decideMany(all)
    await decisions.decideMany(all, { freshness: 'bypass' })
    expect(asked.length).toBe(6)
    const other = await decisions.decideMany(all, {
      minRevision: 7,
      evaluate: ({ user }, { minRevision }) => ({ allowed: false, user, revision: minRevision }),
    })
    expect(other).toEqual(all.map(({ user }) => ({ allowed: false, user, revision: 7 })))
    await expect(decisions.decideMany(all, { signal: AbortSignal.abort(new Error('gone')) })).rejects.toThrow(
      'gone',
    )
    await expect(decisions.decideMany(all, { status: {} } as never)).rejects.toMatchObject({
      code: 'ERR_CACHE_UNKNOWN_OPTION',
    })
    decisions.close()
  })

  it('decideMany refuses what holds no query before it reads or evaluates anything', async () => {
    const { decisions, asked } = open()
    const wrong = [...queries(2), { user: 'x' } as PolicyQuery]
    await expect(decisions.decideMany(wrong)).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' })
    await expect(decisions.decideMany('x' as never)).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' })
    expect([asked, decisions.getMetrics().misses]).toEqual([[], 0])
    const none = new PolicyCache({ engine })
    await expect(none.decideMany(queries(1))).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' })
    none.close()
    decisions.close()
  })

  it('decideMany fails with the first evaluation that does, and begins no more', async () => {
    let begun = 0
    const decisions = new PolicyCache({
      engine,
      evaluate: async ({ user }) => {
        begun++
        await null
        if (user === 'user 3') throw new Error('no answer')
        await new Promise((resolve) => setTimeout(resolve, 5))
        return { allowed: true }
      },
    })
    await expect(decisions.decideMany(queries(200))).rejects.toThrow('no answer')
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(begun).toBe(16)
    expect(await decisions.size()).toBe(15)
    decisions.close()
  })

  it('decideMany serves nothing that was invalidated before it was asked, whoever wrote it', async () => {
    const name = uniqueName()
    const { decisions } = open({ name })
    const { decisions: other } = open({ name })
    const all = queries(10)
    await decisions.decideMany(all)
    await other.invalidate({ resource: 'doc' })
    await decisions.decideMany(all)
    expect(decisions.getMetrics()).toMatchObject({ hits: 0, misses: 20, evaluations: 20 })
    decisions.close()
    other.close()
  })
})
