import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { RedisPort, RedisReply } from '../../src/tier/clients/port.js'
import { RecordClient } from '../../src/tier/record-client.js'
import { failureOf, RecordError, recordError } from '../../src/tier/record-error.js'
import { eventOf, namesOf } from '../../src/tier/replies.js'

const leaf = fc.oneof(
  fc.constantFrom<RedisReply>(
    null,
    0,
    1,
    -1,
    -2,
    2 ** 53,
    1.5,
    '',
    '7',
    'OK',
    Buffer.from('12'),
    Buffer.from('absent'),
  ),
  fc.string().map((text) => Buffer.from(text)),
  fc.string(),
  fc.double(),
)
const reply = fc.letrec<{ reply: RedisReply }>((tie) => ({
  reply: fc.oneof({ maxDepth: 4 }, leaf, fc.array(tie('reply'), { maxLength: 9 })),
})).reply

function answering(answer: () => Promise<RedisReply>): RecordClient {
  const port: RedisPort = { send: answer, on() {}, reset() {}, close() {} }
  return new RecordClient(port, 'ns')
}

describe('replies', () => {
  it('of any shape are taken as what they are, or fail as an error of the record', async () => {
    let taken = 0
    await fc.assert(
      fc.asyncProperty(reply, async (given) => {
        const record = answering(async () => given)
        const asked = [
          record.attach([0, 0]),
          record.read('k', { check: false }),
          record.read('k', { check: true, lease: { token: 't', ms: 5 } }),
          record.change(['=k'], ['=k'], false),
          record.follow([1, 0], 10, true),
        ]
        for (const result of await Promise.allSettled(asked)) {
          if (result.status === 'fulfilled') taken++
          else expect(result.reason).toMatchObject({ name: 'RecordError', failure: 'unavailable' })
        }
        await record.wait(1, [1, 0])
        await record.fill('k', Buffer.alloc(1), 1)
      }),
      // One that is taken for certain.
      { numRuns: 2000, examples: [[[Buffer.from('12'), Buffer.from('12')]]] },
    )
    expect(taken).toBeGreaterThan(0)
  })

  it.each([
    ['a proxy that knows no INFO', 'NOIDENTITY the server does not tell', 'refused'],
    ['a record that is gone', 'NOEPOCH there is no record', 'detached'],
    ['a replica', "READONLY You can't write against a read only replica.", 'detached'],
    [
      'a replica of 6.2',
      "@user_script: 33: -READONLY You can't write against a read only replica.",
      'detached',
    ],
    ['a slot that moved', 'MOVED 3999 127.0.0.1:6381', 'detached'],
    ['a server without memory', "OOM command not allowed when used memory > 'maxmemory'.", 'unavailable'],
    [
      'the same of 6.2',
      'ERR Error running script (call to f_1): @user_script: 3: -OOM command not',
      'unavailable',
    ],
    ['a server that starts', 'LOADING Redis is loading the dataset in memory', 'unavailable'],
    ['too many clients', 'ERR max number of clients reached', 'unavailable'],
    ['no rights', 'NOPERM this user has no permissions', 'refused'],
    ['a command that there is not', "ERR unknown command 'EVALSHA'", 'refused'],
    ['a connection that is gone', 'Socket closed unexpectedly', 'unavailable'],
    ['nobody there', 'connect ECONNREFUSED 127.0.0.1:1', 'unavailable'],
    ['what nobody knows', 'WHAT is this', 'unavailable'],
  ] as const)('of %s are told apart', async (_, message, failure) => {
    expect(failureOf(message)).toBe(failure)
    const cause = new Error(message)
    const record = answering(() => Promise.reject(cause))
    const error: unknown = await record.read('k', { check: false }).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(RecordError)
    expect(error).toMatchObject({ failure, cause, message: `Redis: ${message}` })
    expect(recordError(error)).toBe(error)
  })

  it('that are no errors are rejected as one', async () => {
    const record = answering(() => Promise.reject('text'))
    await expect(record.wait(1, [1, 1])).rejects.toMatchObject({ failure: 'unavailable', cause: 'text' })
  })
})

describe('an event', () => {
  it('holds names of any kind', () => {
    const name = fc.tuple(
      fc.constantFrom('=', '#'),
      fc.string({ unit: 'binary', minLength: 1, maxLength: 16 }),
    )
    fc.assert(
      fc.property(
        fc.array(
          fc.oneof(
            fc.constant('c'),
            name.map(([kind, text]) => kind + text),
          ),
        ),
        (names) => {
          expect(namesOf(eventOf(names))).toEqual(names)
        },
      ),
    )
    // A key may be of no characters, a tag may not.
    expect(namesOf(eventOf(['=', 'c', '#t']))).toEqual(['=', 'c', '#t'])
    expect(namesOf(eventOf(['=a', '#']))).toBe(undefined)
    expect(() => eventOf([''])).toThrow(RangeError)
    expect(() => eventOf(['x'.repeat(256)])).toThrow(RangeError)
  })

  it('is none in other bytes, which never throw', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        const names = namesOf(Buffer.from(bytes))
        for (const name of names ?? []) expect(name).toMatch(/^(c$|[=#])/)
      }),
    )
  })
})
