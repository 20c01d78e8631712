import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { expect } from 'vitest'
import { Fleet } from '../nemesis/fleet.mjs'
import { Ledger } from '../nemesis/ledger.mjs'
import { SHAPES } from '../nemesis/shapes.mjs'

export const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

export async function until(what: string, isSo: () => Promise<boolean>, ms = 30_000): Promise<void> {
  const end = performance.now() + ms
  while (!(await isSo().catch(() => false))) {
    if (performance.now() > end) throw new Error(`${what}: not within ${ms} ms`)
    await sleep(50)
  }
}

/** A process and what it is connected by. */
interface Spec {
  readonly client: string
  readonly port: number
}

/** What was served that was too old, when, or went wrong. */
export interface Report {
  readonly promise?: string
  readonly at?: number
}

export interface Outcome {
  readonly totals: Record<string, number>
  readonly reports: readonly Report[]
}

/** The three processes of the nemesis while `events` happen to their servers; what they are served is compared. */
export async function underLoad(
  specs: readonly Spec[],
  events: (progress: () => Promise<void>) => Promise<void>,
): Promise<Outcome> {
  const folder = mkdtempSync(path.join(existsSync('/dev/shm') ? '/dev/shm' : os.tmpdir(), 'sark-topology-'))
  Ledger.create(folder, SHAPES.dense.keys)
  const fleet = new Fleet((index) => ({ folder, shape: 'dense', pace: 20, client: specs[index] }))
  const read = (name: string) => fleet.totals()[name] ?? 0
  // Each process reads and changes again: what came before is over.
  const progress = async () => {
    const [remote, acknowledged] = [read('remote'), read('acknowledged')]
    await until(
      'it goes on',
      async () => read('remote') > remote + 100 && read('acknowledged') > acknowledged + 50,
    )
  }
  try {
    await fleet.start()
    await progress()
    await events(progress)
    await progress()
    await fleet.end()
    expect(fleet.problems).toEqual([])
    return { totals: fleet.totals(), reports: fleet.reports as Outcome['reports'] }
  } finally {
    fleet.kill()
    rmSync(folder, { recursive: true, force: true })
  }
}
