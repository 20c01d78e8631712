import { channel } from 'node:diagnostics_channel'
import { describe, expect, it } from 'vitest'
import { type Decision, PolicyCache, type PolicyQuery } from '../../src/index.js'
import { type RolloutOptions, rollout } from '../../src/rollout/rollout.js'
import { engines, thrown, uniqueName } from '../support/engines.js'

type Told = Decision & { why?: string }

const ask = (user: string): PolicyQuery => ({ user, action: 'read', resource: 'doc:1' })

/** What a channel is told while `body` runs. */
async function heard(name: string, body: () => Promise<unknown>): Promise<Record<string, unknown>[]> {
  const messages: Record<string, unknown>[] = []
  const listener = (message: unknown) => messages.push(message as Record<string, unknown>)
  channel(name).subscribe(listener)
  await body()
  channel(name).unsubscribe(listener)
  return messages
}

describe.each(engines)('a rollout of decisions on the %s engine', (engine) => {
  /** A policy that can be changed, its cache, and the rollout of it. */
  function open(options: Partial<RolloutOptions> = {}) {
    const truth = new Map<string, Told>()
    let evaluations = 0
    const decisions = new PolicyCache<Told>({
      engine,
      evaluate: ({ user }) => {
        evaluations++
        return truth.get(user) ?? { allowed: true }
      },
    })
    const rolled = rollout(decisions, { name: uniqueName(), ...options })
    return { truth, decisions, rolled, evaluations: () => evaluations }
  }

  it('off calls the evaluation and nothing else, even where the cache is closed', async () => {
    const { truth, decisions, rolled, evaluations } = open()
    expect(rolled.state).toEqual({ mode: 'off', percentage: 100, source: 'options' })
    expect(await rolled.decide(ask('a'))).toEqual({ allowed: true })
    truth.set('a', { allowed: false })
    expect(await rolled.decide(ask('a'))).toEqual({ allowed: false })
    expect([evaluations(), await decisions.size()]).toEqual([2, 0])
    decisions.close()
    expect(await rolled.decide(ask('b'))).toEqual({ allowed: true })
    rolled.set({ mode: 'shadow' })
    expect(await rolled.decide(ask('b'))).toEqual({ allowed: true })
    expect(rolled.stats()).toMatchObject({ failed: 1, match: 0 })
    rolled.set({ mode: 'on' })
    await expect(rolled.decide(ask('b'))).rejects.toMatchObject({ code: 'ERR_CACHE_CLOSED' })
    rolled.kill()
    expect(await rolled.decide(ask('b'))).toEqual({ allowed: true })
    rolled.close()
    await expect(rolled.decide(ask('b'))).rejects.toMatchObject({ code: 'ERR_CACHE_CLOSED' })
  })

  it('shadow answers with the evaluation, and says how the cache compares', async () => {
    const { truth, rolled, decisions } = open({ mode: 'shadow' })
    for (const user of ['same', 'lost', 'won', 'other']) {
      truth.set(user, { allowed: user !== 'won', why: 'first' })
      await rolled.decide(ask(user))
    }
    expect(rolled.stats()).toMatchObject({ miss: 4, match: 0 })
    truth.set('lost', { allowed: false, why: 'first' })
    truth.set('won', { allowed: true, why: 'first' })
    truth.set('other', { allowed: true, why: 'second' })
    const messages = await heard('sark-cache:rollout-difference', async () => {
      expect(await rolled.decide(ask('same'))).toEqual({ allowed: true, why: 'first' })
      expect(await rolled.decide(ask('lost'))).toEqual({ allowed: false, why: 'first' })
      expect(await rolled.decide(ask('won'))).toEqual({ allowed: true, why: 'first' })
      expect(await rolled.decide(ask('other'))).toEqual({ allowed: true, why: 'second' })
    })
    const none = { overtaken: 0, failed: 0 }
    expect(rolled.stats()).toEqual({ match: 1, stale_allow: 1, stale_deny: 1, differs: 1, miss: 4, ...none })
    expect(messages.map(({ outcome }) => outcome)).toEqual(['stale_allow', 'stale_deny', 'differs'])
    expect(JSON.stringify(messages)).not.toMatch(/lost|won|doc/)
    // The cache has what it had, and what is invalidated is compared no more.
    expect(await decisions.get(ask('lost'))).toEqual({ allowed: true, why: 'first' })
    await decisions.invalidate({ user: 'lost' })
    await rolled.decide(ask('lost'))
    expect(await decisions.get(ask('lost'))).toEqual({ allowed: false, why: 'first' })
    expect(rolled.state.mode).toBe('shadow')
    rolled.resetStats()
    expect(rolled.stats().match).toBe(0)
  })

  it('shadow takes nothing for a difference that was invalidated while the answer was found', async () => {
    let during = async () => {}
    const truth = { allowed: true }
    const decisions = new PolicyCache({
      engine,
      evaluate: async () => {
        const answer = { ...truth }
        await during()
        return answer
      },
    })
    const rolled = rollout(decisions, { name: uniqueName(), mode: 'shadow' })
    await rolled.decide(ask('a'))
    truth.allowed = false
    during = () => decisions.invalidate({ user: 'a' })
    expect(await rolled.decide(ask('a'))).toEqual({ allowed: false })
    expect(rolled.stats()).toMatchObject({ stale_allow: 0, overtaken: 1 })
    // Nor does it store what was overtaken.
    expect(await rolled.decide(ask('a'))).toEqual({ allowed: false })
    expect(await decisions.get(ask('a'))).toBeUndefined()
  })

  it('on serves a percentage of users from the cache, the same ones as they become more', async () => {
    const { truth, rolled } = open({ mode: 'on', percentage: 25 })
    const users = Array.from({ length: 400 }, (_, n) => `user ${n}`)
    for (const user of users) await rolled.decide(ask(user))
    for (const user of users) truth.set(user, { allowed: true, why: 'changed' })
    const served = async () => {
      const found = []
      for (const user of users) if ((await rolled.decide(ask(user))).why === undefined) found.push(user)
      return found
    }
    const quarter = await served()
    expect(quarter.length).toBeGreaterThan(60)
    expect(quarter.length).toBeLessThan(140)
    expect(rolled.stats().differs).toBe(400 - quarter.length)
    rolled.set({ percentage: 60 })
    expect(rolled.state).toEqual({ mode: 'on', percentage: 60, source: 'set' })
    const more = await served()
    expect(more.length).toBeGreaterThan(quarter.length)
    expect(quarter.filter((user) => !more.includes(user))).toEqual([])
    rolled.set({ percentage: 0 })
    expect(await served()).toEqual([])
    rolled.set({ percentage: 100 })
    expect(await served()).toEqual(users)
  })

  it('falls back to shadow at the first stale allow, until it is told to go on', async () => {
    const { truth, rolled } = open({ mode: 'on', percentage: 50 })
    const users = Array.from({ length: 40 }, (_, n) => `user ${n}`)
    for (const user of users) await rolled.decide(ask(user))
    for (const user of users) truth.set(user, { allowed: false })
    const messages = await heard('sark-cache:rollout', async () => {
      for (const user of users) await rolled.decide(ask(user))
    })
    expect(messages).toEqual([{ name: rolled.name, mode: 'shadow', percentage: 50, source: 'fallback' }])
    for (const user of users) expect(await rolled.decide(ask(user))).toEqual({ allowed: false })
    rolled.set({ mode: 'on', percentage: 100 })
    expect(rolled.state).toEqual({ mode: 'shadow', percentage: 100, source: 'fallback' })
    rolled.resume()
    expect(rolled.state).toEqual({ mode: 'on', percentage: 100, source: 'set' })
    expect(await rolled.decide(ask('user 1'))).toEqual({ allowed: true })
    rolled.kill()
    rolled.set({ mode: 'on' })
    expect(rolled.state).toMatchObject({ mode: 'off', source: 'kill' })
    expect(await rolled.decide(ask('user 1'))).toEqual({ allowed: false })
    rolled.revive()
    expect(rolled.state).toMatchObject({ mode: 'on', source: 'set' })
  })

  it('keeps the promises of decide in every mode', async () => {
    const decisions = new PolicyCache<Told>({ engine, hardTimeout: 50 })
    for (const mode of ['off', 'shadow', 'on'] as const) {
      const rolled = rollout(decisions, { name: uniqueName(), mode })
      const fails = (call: Promise<unknown>, expected: object) =>
        expect(call, mode).rejects.toMatchObject(expected)
      const never = () => new Promise<never>(() => {})
      // Another question each time: in the mode on, two that are equal would share an evaluation.
      let asked = 0
      const next = () => ask(`${mode} ${asked++}`)
      await fails(rolled.decide(next()), { code: 'ERR_INVALID_ARG_TYPE' })
      await fails(rolled.decide({ ...next(), role: 'x' } as never, { evaluate: never }), {
        code: 'ERR_INVALID_ARG_TYPE',
      })
      await fails(rolled.decide(undefined as never, { evaluate: never }), { code: 'ERR_INVALID_ARG_TYPE' })
      await fails(rolled.decide(next(), { fresh: 1 } as never), { code: 'ERR_CACHE_UNKNOWN_OPTION' })
      await fails(rolled.decide(next(), { evaluate: () => 'yes' as never }), { code: 'ERR_INVALID_ARG_TYPE' })
      const error = new Error('no answer')
      const evaluate = () => {
        throw error
      }
      await expect(rolled.decide(next(), { evaluate })).rejects.toBe(error)
      await fails(rolled.decide(next(), { evaluate: never }), { code: 'ERR_CACHE_LOAD_TIMEOUT' })
      await fails(rolled.decide(next(), { evaluate: never, timeout: 5 }), { code: 'ERR_CACHE_LOAD_TIMEOUT' })
      await fails(rolled.decide(next(), { evaluate: never, signal: AbortSignal.abort(error) }), error)
      const stop = new AbortController()
      const stopped = rolled.decide(next(), {
        evaluate: (_, { signal }) => {
          stop.abort(error)
          expect(signal.aborted, mode).toBe(true)
          return never()
        },
        signal: stop.signal,
      })
      await expect(stopped).rejects.toBe(error)
      const old = () => ({ allowed: true, revision: 1 })
      await fails(rolled.decide(next(), { evaluate: old, minRevision: 2 }), { code: 'ERR_POLICY_REVISION' })
      const status = {}
      await rolled.decide(next(), { evaluate: (query) => ({ allowed: Object.isFrozen(query) }), status })
      expect(status).toMatchObject({ source: 'load' })
      await decisions.clear()
    }
  })

  it('has a code for what a hostile query throws, in every mode', async () => {
    const { rolled } = open({ percentage: 50 })
    const trap = new Proxy({} as PolicyQuery, {
      get() {
        throw new Error('trap')
      },
    })
    for (const mode of ['off', 'shadow', 'on'] as const) {
      rolled.set({ mode })
      for (const query of [trap, null, 5, { user: { toString: 5 } }]) {
        await expect(rolled.decide(query as never)).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' })
      }
    }
  })

  it('tells no more than ten differences a second, and how many it left out', async () => {
    const { truth, rolled } = open({ mode: 'shadow', digestKey: 'secret' })
    await rolled.decide(ask('a'))
    truth.set('a', { allowed: true, why: 'else' })
    const messages = await heard('sark-cache:rollout-difference', async () => {
      for (let n = 0; n < 30; n++) await rolled.decide(ask('a'))
    })
    expect(messages.length).toBeGreaterThanOrEqual(10)
    expect(messages.length).toBeLessThan(30)
    expect(new Set(messages.map(({ subject }) => subject)).size).toBe(1)
    expect(rolled.stats().differs).toBe(30)
  })

  it('shadow serves what the cache could not hold, and counts it', async () => {
    const decisions = new PolicyCache({ engine })
    const rolled = rollout(decisions, { name: uniqueName(), mode: 'shadow' })
    const answer = { allowed: true, at: new Date(0) }
    const messages = await heard('sark-cache:rollout-error', async () => {
      expect(await rolled.decide(ask('a'), { evaluate: () => answer })).toBe(answer)
    })
    expect(rolled.stats().failed).toBe(1)
    expect(messages).toMatchObject([{ what: 'cache', error: { code: 'ERR_CACHE_NOT_SERIALIZABLE' } }])
  })

  it('stores in shadow as it would be stored: with tags, TTL, and only if it may be', async () => {
    const decisions = new PolicyCache({
      engine,
      evaluate: ({ user }, context) => {
        context.tags = ['group']
        context.store = user !== 'unstored'
        if (user === 'brief') context.ttl = 0
        return { allowed: true }
      },
    })
    const rolled = rollout(decisions, { name: uniqueName(), mode: 'shadow' })
    for (const user of ['a', 'unstored', 'brief']) await rolled.decide(ask(user))
    expect([await decisions.get(ask('a')), await decisions.size()]).toEqual([{ allowed: true }, 1])
    await decisions.invalidateTag('group')
    expect(await decisions.get(ask('a'))).toBeUndefined()
    await rolled.decide(ask('a'), { freshness: 'bypass' })
    expect(rolled.stats()).toMatchObject({ miss: 4, match: 0 })
  })
})

it('refuses what is wrong at once', () => {
  using decisions = new PolicyCache()
  const code = (body: () => unknown) => thrown(body).code
  const name = uniqueName()
  expect(code(() => rollout(decisions, { name, mode: 'half' as never }))).toBe('ERR_OUT_OF_RANGE')
  expect(code(() => rollout(decisions, { name, percentage: 101 }))).toBe('ERR_OUT_OF_RANGE')
  expect(code(() => rollout(decisions, { name, percentage: '5' as never }))).toBe('ERR_INVALID_ARG_TYPE')
  expect(code(() => rollout(decisions, { name, percent: 5 } as never))).toBe('ERR_CACHE_UNKNOWN_OPTION')
  expect(code(() => rollout(decisions, {} as never))).toBe('ERR_INVALID_ARG_TYPE')
  expect(code(() => rollout({} as never, { name }))).toBe('ERR_INVALID_ARG_TYPE')
  expect(code(() => rollout(null as never, { name }))).toBe('ERR_INVALID_ARG_TYPE')
  const rolled = rollout(decisions, { name })
  expect(code(() => rolled.set({ mode: 'no' as never }))).toBe('ERR_OUT_OF_RANGE')
  expect(rolled.state.source).toBe('options')
})
