import fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { RedisPort } from '../../src/tier/clients/port.js'
import { encodeEntry } from '../../src/tier/envelope.js'
import { keysOf } from '../../src/tier/names.js'
import { RecordClient } from '../../src/tier/record-client.js'
import { describeServers, openPort } from '../support/redis.js'

/** The record, as simply as it can be said: two generations of names, a floor, and all that ever changed besides. */
class Model {
  sequence = 0
  floor = 0
  begin = 0
  newer = new Map<string, number>()
  older: Map<string, number> | undefined
  /** When each name changed last: what the record may forget, but never wrongly. */
  truth = new Map<string, number>()
  cleared = 0
  log: string[][] = []
  entries = new Map<string, { at: number; tags: string[] }>()
  readonly #fields: number

  constructor(fields: number) {
    this.#fields = fields
  }

  last(name: string): number {
    return Math.max(this.newer.get(name) ?? 0, this.older?.get(name) ?? 0)
  }

  change(names: string[], compared: string[]): { before: number; removed: number } {
    const before = Math.max(this.floor, ...compared.map((name) => this.last(name)))
    const at = ++this.sequence
    let removed = 0
    for (const name of names) {
      if (name === 'c') this.floor = this.cleared = at
      else this.newer.set(name, at)
      this.truth.set(name, at)
      if (name[0] === '=' && this.entries.delete(name.slice(1))) removed++
    }
    this.log.push(names)
    if (this.newer.size > this.#fields) {
      this.floor = Math.max(this.floor, this.begin)
      this.older = this.newer
      this.newer = new Map()
      this.begin = at
    }
    return { before, removed }
  }

  read(key: string): 'hit' | 'absent' | 'changed' {
    const entry = this.entries.get(key)
    if (entry === undefined) return 'absent'
    const names = [`=${key}`, ...entry.tags.map((tag) => `#${tag}`)]
    return entry.at >= this.floor && names.every((name) => this.last(name) <= entry.at) ? 'hit' : 'changed'
  }

  isOvertaken(key: string): boolean {
    const { at, tags } = this.entries.get(key) as { at: number; tags: string[] }
    const names = [`=${key}`, ...tags.map((tag) => `#${tag}`)]
    return this.cleared > at || names.some((name) => (this.truth.get(name) ?? 0) > at)
  }
}

const KEYS = ['a', 'b', 'c', 'g', 's', 'ü']
const TAGS = ['t', 'u', 'v', 'c', 'f', 'h']
const key = fc.constantFrom(...KEYS)
const tags = fc.uniqueArray(fc.constantFrom(...TAGS), { maxLength: 3 })
const name = fc.oneof(
  { weight: 6, arbitrary: key.map((each) => `=${each}`) },
  { weight: 6, arbitrary: fc.constantFrom(...TAGS).map((each) => `#${each}`) },
  { weight: 1, arbitrary: fc.constant('c') },
)
const names = fc.uniqueArray(name, { minLength: 1, maxLength: 3 })
const step = fc.oneof(
  fc.record({
    do: fc.constant('change' as const),
    names,
    compared: fc.uniqueArray(
      name.filter((each) => each !== 'c'),
      { maxLength: 3 },
    ),
  }),
  fc.record({ do: fc.constant('fill' as const), key, tags, ago: fc.nat(4) }),
  fc.record({ do: fc.constant('read' as const), key }),
  fc.record({ do: fc.constant('follow' as const), ago: fc.nat(8), most: fc.integer({ min: 1, max: 6 }) }),
)

describeServers('histories of the record', (server) => {
  let port: RedisPort
  let runs = 0
  beforeAll(async () => {
    port = await openPort(server())
  })
  afterAll(() => port.close())

  it('go as the model says, and believe nothing that was overtaken', async () => {
    let hits = 0
    let rotations = 0
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 60 }), async (steps) => {
        const namespace = `model-${++runs}`
        const record = new RecordClient(port, namespace, { fields: 5, log: 1000 })
        const [epoch] = await record.attach([0, 0])
        const model = new Model(5)
        for (const each of steps) {
          switch (each.do) {
            case 'change': {
              const reply = await record.change(each.names, each.compared, false)
              expect(reply).toMatchObject(model.change(each.names, each.compared))
              expect(reply.at).toEqual([epoch, model.sequence])
              break
            }
            case 'fill': {
              const at = Math.max(0, model.sequence - each.ago)
              model.entries.set(each.key, { at, tags: each.tags })
              const entry = { at: [epoch, at] as const, encoding: 0, ttl: 60_000, grace: 0, tags: each.tags }
              await record.fill(
                each.key,
                encodeEntry({ ...entry, payload: Buffer.from('1') }),
                Date.now() + 60_000,
              )
              break
            }
            case 'read': {
              const reply = await record.read(each.key, { check: false })
              expect(reply.kind === 'miss' ? reply.reason : reply.kind).toBe(model.read(each.key))
              expect(reply.at).toEqual([epoch, model.sequence])
              if (reply.kind !== 'hit') break
              hits++
              expect(model.isOvertaken(each.key)).toBe(false)
              expect(reply.tags).toEqual(model.entries.get(each.key)?.tags)
              break
            }
            case 'follow': {
              const from = Math.max(0, model.sequence - each.ago)
              const reply = await record.follow([epoch, from], each.most, false)
              const expected = model.log.slice(from, from + each.most)
              expect(reply.events.map((event) => event.names)).toEqual(expected)
              expect(reply.events.map((event) => event.sequence)).toEqual(
                expected.map((_, at) => from + at + 1),
              )
              expect(reply.more).toBe(from + expected.length < model.sequence)
            }
          }
        }
        if (model.older !== undefined) rotations++
        const left = keysOf(namespace)
        await port.send(['DEL', left.newer, left.older, left.log, ...KEYS.map((each) => left.entry + each)])
      }),
      { numRuns: 60 },
    )
    // Else it was tried on nothing.
    expect(hits).toBeGreaterThan(20)
    expect(rotations).toBeGreaterThan(10)
  }, 60_000)
})
