import { expectTypeOf } from 'vitest'
import { Cache, type Decision, type LoadContext, type PolicyCache, type SetOptions } from '../../src/index.js'

// Checked by the compiler as a part of `npm run lint`; nothing of it runs.

interface User {
  readonly id: number
  readonly name: string
}

declare const users: Cache<User>
declare const anything: Cache
declare const decisions: PolicyCache<Decision & { readonly reason: string }>

expectTypeOf(users.get('k')).toEqualTypeOf<User | undefined>()
expectTypeOf(users.getMany(['k'])).toEqualTypeOf<(User | undefined)[]>()
expectTypeOf(anything.get('k')).toBeUnknown()
expectTypeOf(anything.get<User>('k')).toEqualTypeOf<User | undefined>()
expectTypeOf(users.getOrSet('k', () => ({ id: 1, name: 'a' }))).resolves.toExtend<User>()
expectTypeOf([...users]).toEqualTypeOf<[string, User][]>()
expectTypeOf(users.namespace<number>('n')).toEqualTypeOf<Cache<number>>()
expectTypeOf(users.namespace('n')).toEqualTypeOf<Cache<User>>()
expectTypeOf(users.update('k', (user) => user && { ...user, name: 'b' })).toEqualTypeOf<User | undefined>()

// @ts-expect-error: not a user
users.set('k', { id: '1' })
// @ts-expect-error: keys are strings
users.get(1)
// @ts-expect-error: no such option
new Cache({ size: 1 })
// @ts-expect-error: a fence has no place where nothing is overwritten
users.setIfAbsent('k', { id: 1, name: 'a' }, { fence: 1 } satisfies SetOptions)

const byId = users.wrap((id: number) => ({ id, name: 'a' }), { key: (id) => `user:${id}` })
expectTypeOf(byId).parameters.toEqualTypeOf<[number]>()
expectTypeOf(byId(1)).resolves.toEqualTypeOf<{ id: number; name: string }>()
expectTypeOf(byId.delete).parameters.toEqualTypeOf<[number]>()
const withContext = users.wrap((id: number, context: LoadContext<User>) => ({ id, name: `${context.ttl}` }), {
  key: (id) => `user:${id}`,
  context: true,
})
expectTypeOf(withContext).parameters.toEqualTypeOf<[number]>()

const query = { user: 'alice', action: 'read', resource: 'doc:1' }
expectTypeOf(decisions.decide(query)).resolves.toEqualTypeOf<Decision & { readonly reason: string }>()
// @ts-expect-error: a decision of these has a reason
decisions.set(query, { allowed: true })
// @ts-expect-error: nothing is named
decisions.decide({ user: 'alice' })
// @ts-expect-error: everything and a user at once
decisions.invalidate({ all: true, user: 'alice' })
