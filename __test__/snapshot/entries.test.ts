import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import fc from 'fast-check'
import { afterAll, describe, expect, it, vi } from 'vitest'
import { Cache } from '../../src/index.js'
import { dump, load } from '../../src/snapshot/snapshot.js'
import { engines } from '../support/engines.js'

const folder = mkdtempSync(path.join(tmpdir(), 'sark-snapshot-'))
let files = 0
const newFile = () => path.join(folder, `${files++}.snap`)

afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** A file of more than one block. */
async function filled(engine: 'rust' | 'js', entries = 3_000) {
  const file = newFile()
  using cache = new Cache<string>({ engine, max: entries })
  for (let n = 0; n < entries; n++) cache.set(`key ${n}`, `${n}`.padEnd(200, '.'))
  const { written } = await dump(cache, file)
  expect(written).toBe(entries)
  return file
}

async function loaded(file: string, engine: 'rust' | 'js' = engines[0] as 'rust') {
  using cache = new Cache<string>({ engine, max: 10_000 })
  const { durationMs, ...result } = await load(cache, file)
  expect(durationMs).toBeGreaterThan(0)
  const values = [...cache.entries()]
  for (const [key, value] of values) expect(value.replaceAll('.', '')).toBe(key.slice('key '.length))
  expect(values.length).toBe(result.loaded)
  return result
}

describe.each(engines)('a snapshot of a cache on the %s engine', (engine) => {
  const other = engines.find((each) => each !== engine) ?? engine

  it('brings back what was there, on either engine', async () => {
    const text = fc.oneof(
      fc.string(),
      fc.string({ unit: 'binary' }),
      fc.constantFrom('\ud800', 'é', 'é\u0100', ''),
    )
    const value = fc.oneof(text, fc.jsonValue(), fc.uint8Array())
    await fc.assert(
      fc.asyncProperty(fc.dictionary(text, value, { maxKeys: 20 }), async (entries) => {
        const file = newFile()
        using from = new Cache({ engine })
        using to = new Cache({ engine: other })
        for (const [key, value] of Object.entries(entries)) from.set(key, value)
        expect(await dump(from, file)).toMatchObject({ written: from.size, bytes: statSync(file).size })
        expect(await load(to, file)).toMatchObject({
          state: 'complete',
          reason: undefined,
          loaded: from.size,
        })
        for (const key of Object.keys(entries)) expect(to.get(key)).toEqual(from.get(key))
        rmSync(file)
      }),
      { numRuns: 60 },
    )
  })

  it('gives what remains of each TTL by the time of day', async () => {
    const file = newFile()
    let time = Date.now() - 600
    using from = new Cache({ engine, clock: { now: () => time } })
    from.set('short', 1, 1_000)
    from.set('long', 2, 10_000)
    from.set('ever', 3, Number.POSITIVE_INFINITY)
    time += 400
    await dump(from, file)
    time += 700
    using to = new Cache({ engine: other, clock: { now: () => time } })
    expect(await load(to, file)).toMatchObject({ loaded: 2, expired: 1 })
    expect([to.has('short'), to.getRemainingTTL('long'), to.getRemainingTTL('ever')]).toEqual([
      false,
      8_900,
      Number.POSITIVE_INFINITY,
    ])
    // A clock that was put back.
    const now = vi.spyOn(Date, 'now').mockReturnValue(time - 100_000)
    using late = new Cache({ engine })
    await load(late, file)
    now.mockRestore()
    expect(late.getRemainingTTL('long')).toBeLessThanOrEqual(9_600)
  })

  it('leaves what is newer, and what was invalidated since the call, alone', async () => {
    const file = await filled(engine, 500)
    using cache = new Cache<string>({ engine, max: 1_000 })
    cache.set('key 1', 'newer')
    const result = load(cache, file)
    cache.delete('key 2')
    cache.set('key 3', 'written meanwhile')
    // A few of those that share a number with the key that changed may be refused with it.
    const { loaded, present, overtaken } = await result
    expect([loaded + overtaken, present, loaded > 450]).toEqual([498, 2, true])
    expect([cache.get('key 1'), cache.get('key 2'), cache.get('key 3')]).toEqual([
      'newer',
      undefined,
      'written meanwhile',
    ])
    const cleared = load(cache, file)
    cache.clear()
    expect(await cleared).toMatchObject({ loaded: 0, overtaken: 500 })
    expect(cache.size).toBe(0)
  })

  it('brings nothing with tags back without them', async () => {
    const file = newFile()
    using from = new Cache<number>({ engine })
    from.set('free', 0)
    from.set('one', 1, { tags: ['a'] })
    from.set('two', 2, { tags: ['a', 'b'] })
    await dump(from, file)
    using to = new Cache<number>({ engine: other })
    expect(await load(to, file)).toMatchObject({ loaded: 1, tagged: 2 })
    expect([...to.keys()]).toEqual(['free'])
    // As many as there were, or it is not brought back.
    const tags = (key: string, value: unknown) => (key === 'one' ? [`a`] : [`${value}`])
    expect(await load(to, file, { tags })).toMatchObject({ loaded: 1, present: 1, tagged: 1 })
    to.invalidateTag('a')
    expect([to.get('free'), to.get('one')]).toEqual([0, undefined])
    const wrong = () => 'a' as never
    await expect(load(to, file, { tags: wrong })).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' })
  })

  it('evicts nothing for what is loaded', async () => {
    const file = await filled(engine, 500)
    using cache = new Cache<string>({ engine, max: 100 })
    cache.set('mine', 'mine')
    expect(await load(cache, file)).toMatchObject({ loaded: 99, noRoom: 401 })
    expect(cache.get('mine')).toBe('mine')
    using small = new Cache<string>({ engine, max: 1_000, maxSize: 100_000, maxEntrySize: 200 })
    const { loaded, noRoom, overtaken } = await load(small, file)
    // A value that is refused is a change of its key, and of those that share its number.
    expect([loaded, noRoom + overtaken]).toEqual([0, 500])
  })

  it('holds the part of a cache that was given', async () => {
    const file = newFile()
    using cache = new Cache<number>({ engine })
    cache.set('root', 1)
    const part = cache.namespace<number>('part')
    part.set('inner', 2)
    expect(await dump(part, file, { max: 10 })).toMatchObject({ written: 1 })
    using to = new Cache<number>({ engine: other })
    await load(to.namespace('elsewhere'), file)
    expect([to.get('inner'), to.namespace('elsewhere').get('inner')]).toEqual([undefined, 2])
    expect(await dump(cache, file, { max: 1 })).toMatchObject({ written: 1 })
  })
})

describe('a file that is not what it was', () => {
  it('is loaded up to where it is cut, whatever is missing', async () => {
    const file = await filled('js')
    const whole = readFileSync(file)
    expect(await loaded(file)).toMatchObject({ state: 'complete', loaded: 3_000 })
    const seen = new Set<number>()
    for (const size of [
      0,
      5,
      11,
      40,
      56,
      60,
      1_000,
      300_000,
      whole.length - 61,
      whole.length - 60,
      whole.length - 1,
    ]) {
      truncateSync(file, size)
      const result = await loaded(file)
      expect(result.state, `${size}`).toBe('truncated')
      seen.add(result.loaded)
      writeFileSync(file, whole)
    }
    expect(seen.has(0)).toBe(true)
    expect(seen.has(3_000)).toBe(true)
    expect(seen.size).toBeGreaterThan(2)
  })

  it('is loaded but for what is damaged, whichever bit it is', async () => {
    const file = await filled('js')
    const whole = readFileSync(file)
    const places = [
      0,
      3,
      8,
      12,
      13,
      20,
      50,
      57,
      61,
      66,
      70,
      76,
      80,
      90,
      100,
      5_000,
      whole.length - 300,
      whole.length - 50,
    ]
    for (const place of [...places, whole.length - 1]) {
      const flipped = Buffer.from(whole)
      flipped.writeUInt8(flipped.readUInt8(place) ^ 1, place)
      writeFileSync(file, flipped)
      const result = await loaded(file)
      expect(['corrupt', 'foreign', 'newer'], `${place}`).toContain(result.state)
      expect(result.reason).toEqual(expect.any(String))
    }
    writeFileSync(file, Buffer.concat([whole, Buffer.from('more')]))
    expect(await loaded(file)).toMatchObject({
      state: 'corrupt',
      reason: 'something follows its end',
      loaded: 3_000,
    })
    // A block within the file, and its place taken by the one after it.
    const flipped = Buffer.from(whole)
    flipped.writeUInt8(flipped.readUInt8(100) ^ 1, 100)
    writeFileSync(file, flipped)
    const { loaded: rest, state } = await loaded(file)
    expect(state).toBe('corrupt')
    expect(rest).toBeGreaterThan(500)
    expect(rest).toBeLessThan(3_000)
  })

  it('of another kind, cache, serializer or version loads nothing', async () => {
    const file = await filled('js', 10)
    using bytes = new Cache<string>({ serializer: 'v8' })
    expect(await load(bytes, file)).toMatchObject({ state: 'foreign', loaded: 0 })
    const whole = readFileSync(file)
    whole.writeUInt32LE(2, 8)
    writeFileSync(file, whole)
    expect(await loaded(file)).toMatchObject({ state: 'newer', loaded: 0 })
    writeFileSync(file, '{"cache": true}')
    expect(await loaded(file)).toMatchObject({ state: 'foreign', loaded: 0 })
    expect(await loaded(path.join(folder, 'none'))).toMatchObject({ state: 'missing', loaded: 0 })
  })

  it.skipIf(process.platform === 'win32')(
    'is never read or written through a link, nor from others',
    async () => {
      const file = await filled('js', 10)
      expect(statSync(file).mode & 0o777).toBe(0o600)
      const link = path.join(folder, 'link')
      symlinkSync(file, link)
      expect(await loaded(link)).toMatchObject({ state: 'foreign', reason: 'it is a link', loaded: 0 })
      using cache = new Cache()
      await expect(dump(cache, link)).rejects.toMatchObject({ code: 'ERR_OUT_OF_RANGE' })
      await expect(dump(cache, folder)).rejects.toMatchObject({ code: 'ERR_OUT_OF_RANGE' })
      expect(await loaded(folder)).toMatchObject({ state: 'foreign', reason: 'it is a folder' })
      chmodSync(file, 0o602)
      expect(await loaded(file)).toMatchObject({ state: 'foreign', reason: 'everybody may write to it' })
    },
  )
})

describe('the writing of a file', () => {
  it('leaves the old one, and nothing else, where it fails', async () => {
    const file = await filled('js', 10)
    const before = readFileSync(file)
    const listed = () => readdirSync(folder).filter((name) => name.startsWith(path.basename(file)))
    using cache = new Cache<string>({ max: 5_000 })
    for (let n = 0; n < 5_000; n++) cache.set(`key ${n}`, `${n}`)
    const stop = new AbortController()
    const stopped = dump(cache, file, { signal: stop.signal })
    stop.abort(new Error('enough'))
    await expect(stopped).rejects.toThrow('enough')
    expect([readFileSync(file).equals(before), listed()]).toEqual([true, [path.basename(file)]])
    // What a process left that was killed goes with the next dump, and what another is writing stays.
    const [old, recent] = ['0123456789abcdef', 'fedcba9876543210'].map((id) => `${file}.${id}.tmp`)
    writeFileSync(old as string, '')
    writeFileSync(recent as string, '')
    utimesSync(old as string, 0, 0)
    await dump(cache, file)
    expect(listed()).toEqual([path.basename(file), path.basename(recent as string)])
    expect(await loaded(file)).toMatchObject({ state: 'complete', loaded: 5_000 })
  })

  it('refuses what is wrong at once', async () => {
    using cache = new Cache()
    const wrong = (call: Promise<unknown>, code: string) => expect(call).rejects.toMatchObject({ code })
    await wrong(dump({} as never, newFile()), 'ERR_INVALID_ARG_TYPE')
    await wrong(load(undefined as never, newFile()), 'ERR_INVALID_ARG_TYPE')
    await wrong(dump(cache, 5 as never), 'ERR_INVALID_ARG_TYPE')
    await wrong(dump(cache, ''), 'ERR_OUT_OF_RANGE')
    await wrong(dump(cache, 'a\0b'), 'ERR_OUT_OF_RANGE')
    await wrong(dump(cache, newFile(), { most: 5 } as never), 'ERR_CACHE_UNKNOWN_OPTION')
    await wrong(load(cache, newFile(), { concurrency: 5 } as never), 'ERR_CACHE_UNKNOWN_OPTION')
    await wrong(dump(cache, path.join(folder, 'no', 'such')), 'ENOENT')
    cache.close()
    const file = newFile()
    await wrong(dump(cache, file), 'ERR_CACHE_CLOSED')
    await wrong(load(cache, file), 'ERR_CACHE_CLOSED')
    expect(readdirSync(folder)).not.toContain(path.basename(file))
  })
})
