import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import vm from 'node:vm'
import { describe, expect, it } from 'vitest'
import { engines } from '../support/engines.js'

const entry = path.join(__dirname, '../../dist/index.js')

/** The package as jest loads it: its modules run in a realm of their own, Node's modules and addons in that of Node. */
function loadInRealm(): typeof import('../../src/index.js') {
  const { process, performance, setTimeout, clearTimeout, queueMicrotask, BroadcastChannel } = globalThis
  const { AbortController, AbortSignal, Buffer } = globalThis
  const realm = vm.createContext({
    process,
    performance,
    setTimeout,
    clearTimeout,
    queueMicrotask,
    BroadcastChannel,
    AbortController,
    AbortSignal,
    Buffer,
  })
  const modules = new Map<string, { exports: unknown }>()
  const load = (file: string): unknown => {
    const known = modules.get(file)
    if (known !== undefined) return known.exports
    const module = { exports: {} }
    modules.set(file, module)
    const outer = createRequire(file)
    const require = (name: string) => {
      const found = outer.resolve(name)
      return found.startsWith(path.dirname(entry)) ? load(found) : outer(name)
    }
    const wrapper = `(function (exports, require, module, __filename, __dirname) {${readFileSync(file, 'utf8')}\n})`
    const run = vm.runInContext(wrapper, realm, { filename: file })
    run(module.exports, require, module, file, path.dirname(file))
    return module.exports
  }
  return load(entry) as typeof import('../../src/index.js')
}

describe.each(engines)('in a realm of its own, on the %s engine', (engine) => {
  const { Cache, PolicyCache } = loadInRealm()

  it.each(['json', 'v8'] as const)(
    'values of the %s serializer are frozen, wherever they were made',
    (serializer) => {
      const cache = new Cache<unknown>({ engine, serializer })
      cache.set('k', { a: [{ b: 1 }] })
      for (const value of [cache.get('k'), cache.peek('k')] as { a: object[] }[]) {
        expect(value).toMatchObject({ a: [{ b: 1 }] })
        expect([value, value.a, value.a[0]].map(Object.isFrozen)).toEqual([true, true, true])
      }
    },
  )

  it('bytes of another realm are bytes', () => {
    const cache = new Cache<Uint8Array>({ engine })
    cache.set('k', new Uint8Array([1, 2]))
    expect([...(cache.get('k') ?? [])]).toEqual([1, 2])
    cache.set('buffer', Buffer.from('x'))
    expect([...(cache.get('buffer') ?? [])]).toEqual([120])
  })

  it('contexts, decisions, options and queries of another realm are taken', async () => {
    const decisions = new PolicyCache({ engine, ttl: { public: 5_000 } })
    const context = await new Response('{"roles":["a",{"b":null}]}').json()
    const asked = { user: 'u', action: 'a', resource: 'r', context }
    const evaluate = async () => ({ allowed: true, why: ['x'] })
    const decision = await decisions.decide(asked, { evaluate, signal: new AbortController().signal })
    expect(decision).toMatchObject({ allowed: true, why: ['x'] })
    expect([decision, (decision as { why?: unknown }).why].map(Object.isFrozen)).toEqual([true, true])
    await decisions.invalidate({ user: 'u' })
    expect(await decisions.get(asked)).toBeUndefined()
  })

  it('errors keep their codes', async () => {
    const cache = new Cache<unknown>({ engine })
    const closed = new Cache<unknown>({ engine })
    closed.close()
    for (const [body, code] of [
      [() => cache.set('k', new Map()), 'ERR_CACHE_NOT_SERIALIZABLE'],
      [() => cache.set('k', { d: new Date() }), 'ERR_CACHE_NOT_SERIALIZABLE'],
      [() => cache.set('k', 1, { tags: ['a', 5 as never] }), 'ERR_INVALID_ARG_TYPE'],
      [() => cache.set('k', 1, { expires: 1 } as never), 'ERR_CACHE_UNKNOWN_OPTION'],
      [() => closed.get('k'), 'ERR_CACHE_CLOSED'],
    ] as const) {
      expect(body).toThrow(expect.objectContaining({ code }))
    }
  })
})
