import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { Cache, PolicyCache, type PolicyQuery } from '../../src/index.js'
import { keyOf } from '../../src/policy/key.js'
import { readQuery } from '../../src/policy/query.js'
import { queryOf, questionOf } from '../../src/snapshot/question.js'
import { dump, load } from '../../src/snapshot/snapshot.js'
import { engines, sleep } from '../support/engines.js'

const folder = mkdtempSync(path.join(tmpdir(), 'sark-snapshot-'))
const file = path.join(folder, 'decisions.snap')
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const ask = (user: string): PolicyQuery => ({ user, action: 'read', resource: 'doc:1' })

describe('the question of a key', () => {
  it('is the one that the key was made of, or is not told', () => {
    const part = fc.oneof(
      fc.string({ minLength: 1, maxLength: 12 }),
      fc.constantFrom('-', '1:', '\ud800', '3:abc-', 'é'),
    )
    const query = fc.record(
      { user: part, action: part, resource: part, tenant: part, context: fc.jsonValue({ maxDepth: 2 }) },
      { requiredKeys: ['user', 'action', 'resource'] },
    )
    fc.assert(
      fc.property(query, part, (query, revision) => {
        const key = keyOf(revision, readQuery(query))
        const question = questionOf(key)
        if (key.startsWith('#')) expect(question).toBeUndefined()
        else expect(keyOf(revision, readQuery(queryOf(question as string)))).toBe(key)
      }),
    )
  })

  it('is none for what is no key', () => {
    for (const key of [
      '',
      '2',
      '#abc',
      '21:0',
      '21:0-1:a1:b1:c-',
      '21:0-1:a1:b1:c--x',
      '99999999999:',
      '21:0-01:a1:b1:c--',
    ])
      expect(questionOf(key), key).toBeUndefined()
    for (const text of ['', '{}', '[]', '[1,2]']) expect(() => queryOf(text)).toThrow()
  })
})

describe.each(engines)('a snapshot of a policy cache on the %s engine', (engine) => {
  it('asks the hottest questions first, a few at a time, and believes no decision', async () => {
    using before = new PolicyCache({ engine, evaluate: () => ({ allowed: true }) })
    const users = Array.from({ length: 30 }, (_, n) => `user ${n}`)
    for (const user of users) await before.decide(ask(user))
    for (const user of ['user 3', 'user 20', 'user 7']) await before.decide(ask(user))
    expect(await dump(before, file)).toMatchObject({ written: 30, skipped: 0 })
    expect(readFileSync(file, 'latin1')).not.toContain('allowed')

    const asked: string[] = []
    let most = 0
    let under = 0
    using after = new PolicyCache({
      engine,
      async evaluate({ user }) {
        asked.push(user)
        most = Math.max(most, ++under)
        await sleep(2)
        under--
        if (user === 'user 5') throw new Error('no answer')
        return { allowed: false }
      },
    })
    await after.set(ask('user 6'), { allowed: false })
    const result = await load(after, file, { concurrency: 3 })
    expect(result).toMatchObject({ state: 'complete', loaded: 28, present: 1, failed: 1 })
    expect(asked.slice(0, 3)).toEqual(['user 7', 'user 20', 'user 3'])
    expect(most).toBe(3)
    expect(await after.get(ask('user 7'))).toEqual({ allowed: false })

    expect(await dump(before, file, { max: 2 })).toMatchObject({ written: 2 })
    asked.length = 0
    await after.clear()
    expect(await load(after, file)).toMatchObject({ loaded: 2 })
    expect(asked.sort()).toEqual(['user 20', 'user 7'])
  })

  it('keeps the whole question, and counts those that it cannot tell', async () => {
    using before = new PolicyCache({ engine, evaluate: () => ({ allowed: true }) })
    const whole: PolicyQuery = { ...ask('a'), tenant: 't', context: { roles: ['x'] }, sensitivity: 'public' }
    await before.decide(whole)
    await before.decide({ ...ask('b'), context: 'long'.repeat(100) })
    expect(await dump(before, file)).toMatchObject({ written: 1, skipped: 1 })
    const asked: PolicyQuery[] = []
    using after = new PolicyCache({ engine, policyRevision: 'next' })
    await expect(load(after, file)).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' })
    const evaluate = (query: PolicyQuery) => {
      asked.push(query)
      return { allowed: true }
    }
    expect(await load(after, file, { evaluate })).toMatchObject({ loaded: 1 })
    expect(asked).toEqual([whole])
  })

  it('ends with its signal, and with its cache', async () => {
    using before = new PolicyCache({ engine, evaluate: () => ({ allowed: true }) })
    for (let n = 0; n < 50; n++) await before.decide(ask(`user ${n}`))
    await dump(before, file)
    const stop = new AbortController()
    let count = 0
    using after = new PolicyCache({
      engine,
      evaluate: () => {
        count++
        if (count === 10) stop.abort(new Error('enough'))
        return { allowed: true }
      },
    })
    await expect(load(after, file, { signal: stop.signal })).rejects.toThrow('enough')
    expect(count).toBeLessThan(20)
    after.close()
    await expect(load(after, file)).rejects.toMatchObject({ code: 'ERR_CACHE_CLOSED' })
    using cache = new Cache({ engine })
    expect(await load(cache, file)).toMatchObject({ state: 'foreign' })
  })
})
