import { channel } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Worker } from 'node:worker_threads'
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest'
import { PolicyCache } from '../../src/index.js'
import { buckets } from '../../src/rollout/bucket.js'
import { type RolloutOptions, rollout } from '../../src/rollout/rollout.js'
import { sleep, thrown, uniqueName, withoutRust } from '../support/engines.js'

const folder = mkdtempSync(path.join(tmpdir(), 'sark-rollout-'))
let files = 0
const newFile = () => path.join(folder, `${files++}.json`)

afterAll(() => rmSync(folder, { recursive: true, force: true }))
afterEach(() => vi.unstubAllEnvs())

const open = (options: RolloutOptions) => rollout(new PolicyCache(), options)

/** Writes a file as whoever does it right. */
function put(file: string, text: string): void {
  writeFileSync(`${file}.new`, text)
  renameSync(`${file}.new`, file)
}

/** Waits until a look at the files is due. */
const look = () => sleep(300)

describe('what has the last word', () => {
  it('is the kill switch, then what was set, the file, the environment, the options', async () => {
    const file = newFile()
    const name = 'My cache.1'
    vi.stubEnv('SARK_CACHE_ROLLOUT_MY_CACHE_1', 'on:12.5')
    const rolled = open({ name, mode: 'shadow', file })
    expect(rolled.state).toEqual({ mode: 'on', percentage: 12.5, source: 'environment' })
    put(file, '{ "mode": "on", "percentage": 30 }')
    await look()
    expect(rolled.state).toEqual({ mode: 'on', percentage: 30, source: 'file' })
    rolled.set({ percentage: 40 })
    expect(rolled.state).toEqual({ mode: 'on', percentage: 40, source: 'set' })
    writeFileSync(`${file}.kill`, '')
    await look()
    expect(rolled.state).toEqual({ mode: 'off', percentage: 40, source: 'kill' })
    rolled.revive()
    rolled.set({ mode: 'on' })
    expect(rolled.state.source).toBe('kill')
    // A restart.
    rolled.close()
    const again = open({ name, file })
    expect(again.state).toMatchObject({ mode: 'off', source: 'kill' })
    rmSync(`${file}.kill`)
    await look()
    expect(again.state).toEqual({ mode: 'on', percentage: 30, source: 'file' })
    again.close()
    vi.stubEnv('SARK_CACHE_ROLLOUT_MY_CACHE_1', 'kill')
    expect(open({ name, mode: 'on' }).state).toMatchObject({ mode: 'off', source: 'kill' })
  })

  it('is refused from an environment that says something else', () => {
    for (const value of ['yes', 'on:', 'on:101', 'shadow:5', 'ON', 'on:5%', 'on:-1']) {
      vi.stubEnv('SARK_CACHE_ROLLOUT_WRONG', value)
      const error = thrown(() => open({ name: 'wrong' }))
      expect(error.code, value).toBe('ERR_OUT_OF_RANGE')
      expect(error.message).toContain('SARK_CACHE_ROLLOUT_WRONG')
    }
  })

  it('stays what it was where a file is broken or gone, and that is told once', async () => {
    const file = newFile()
    put(file, '{ "mode": "shadow" }')
    const rolled = open({ name: uniqueName(), file })
    expect(rolled.state).toEqual({ mode: 'shadow', percentage: 100, source: 'file' })
    const told: unknown[] = []
    const listener = (message: unknown) => told.push(message)
    channel('sark-cache:rollout-error').subscribe(listener)
    const broken = [
      '{',
      '',
      '[]',
      '"on"',
      '{ "mode": "on", "percentage": 101 }',
      '{ "percentage": 5 }',
      '{ "mode": "on", "kil": true }',
    ]
    for (const [index, text] of [...broken, ' '.repeat(70_000)].entries()) {
      put(file, text)
      await look()
      expect(rolled.state, text).toEqual({ mode: 'shadow', percentage: 100, source: 'file' })
      expect(told.length, text).toBe(index + 1)
    }
    rmSync(file)
    await look()
    expect(rolled.state.mode).toBe('shadow')
    await look()
    expect(rolled.state.mode).toBe('shadow')
    mkdirSync(file)
    await look()
    expect(rolled.state.mode).toBe('shadow')
    expect(told.length).toBe(broken.length + 3)
    expect(told.at(-1)).toMatchObject({ name: rolled.name, what: 'file' })
    channel('sark-cache:rollout-error').unsubscribe(listener)
    rmSync(file, { recursive: true })
    put(file, '{ "mode": "off" }')
    await look()
    expect(rolled.state).toMatchObject({ mode: 'off', source: 'file' })
  })
})

describe('the part of the users', () => {
  it('is as large as it says, and another one under another name', () => {
    const [one, other] = [buckets('one'), buckets('other')]
    const users = Array.from({ length: 50_000 }, (_, n) => `user:${n}`)
    for (const percentage of [1, 10, 50, 90]) {
      const among = users.filter((user) => one(user, percentage))
      expect(Math.abs(among.length / 500 - percentage)).toBeLessThan(1)
      const both = among.filter((user) => other(user, percentage))
      expect(Math.abs((both.length / among.length) * 100 - percentage)).toBeLessThan(5)
    }
    expect([one('a', 0), one('', 0)]).toEqual([false, false])
  })

  it('is the same in every version of this package', () => {
    const among = ['alice', 'bob', 'carol', 'dave', 'é', ''].map((user) => buckets('decisions')(user, 50))
    expect(among).toEqual([true, false, false, false, false, true])
  })
})

describe.skipIf(withoutRust)('the threads of a process', () => {
  it('see what one of them set at their next call, and count together', async () => {
    const [name, file] = [uniqueName(), newFile()]
    const rolled = open({ name, mode: 'shadow', file })
    const worker = new Worker(
      `
      const { parentPort, workerData } = require('node:worker_threads')
      const { PolicyCache } = require(workerData.index)
      const { rollout } = require(workerData.rollout)
      const decisions = new PolicyCache({ evaluate: () => ({ allowed: true }) })
      const rolled = rollout(decisions, { name: workerData.name, mode: 'shadow', file: workerData.file })
      parentPort.on('message', async (message) => {
        if (message === 'end') return parentPort.close()
        if (message === 'kill') rolled.kill()
        const decision = await rolled.decide({ user: 'a', action: 'b', resource: 'c' })
        parentPort.postMessage([rolled.state.mode, rolled.state.source, decision.allowed])
      })
      `,
      {
        eval: true,
        workerData: {
          name,
          file,
          index: path.join(__dirname, '../../dist/index.js'),
          rollout: path.join(__dirname, '../../dist/rollout/rollout.js'),
        },
      },
    )
    const told = async (message: string) => {
      worker.postMessage(message)
      const [answer] = await once(worker, 'message')
      return answer as unknown
    }
    expect(await told('decide')).toEqual(['shadow', 'options', true])
    rolled.set({ mode: 'on' })
    expect(await told('decide')).toEqual(['on', 'set', true])
    rolled.kill()
    expect(await told('decide')).toEqual(['off', 'kill', true])
    rolled.revive()
    expect(rolled.state.mode).toBe('on')
    await told('kill')
    expect(rolled.state).toMatchObject({ mode: 'off', source: 'kill' })
    expect(rolled.stats()).toMatchObject({ miss: 1 })
    rolled.revive()
    expect(await told('decide')).toEqual(['on', 'set', true])
    writeFileSync(`${file}.kill`, '')
    const start = performance.now()
    let answer: unknown = []
    while (performance.now() - start < 1_000 && (answer as string[])[0] !== 'off')
      answer = await told('decide')
    expect(answer).toEqual(['off', 'kill', true])
    worker.postMessage('end')
    await once(worker, 'exit')
  })
})
