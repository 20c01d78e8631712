import type { EngineKind, EngineSettings } from '../../common/settings.js'
import type { EngineStats } from '../engine.js'
import type { Stored } from '../stored.js'

/** The ABI of the native binary that this code was written for. */
export const ABI = 7

type Tags = readonly string[] | undefined

/** The raw calls of the addon; each takes the number of an open cache first. */
export interface Binding {
  abi(): number
  entryOverhead(): number
  open(
    name: string | undefined,
    max: number | undefined,
    maxSize: number | undefined,
    maxEntrySize: number | undefined,
    ttl: number | undefined,
    format: number | undefined,
    policy: number | undefined,
    updateAgeOnGet: number | undefined,
    isTold: number | undefined,
    tiered: number | undefined,
  ): number
  namespace(cache: number, name: string): number
  counters(cache: number, group: string, size: number): void
  addCounters(cache: number, group: string, deltas: Float64Array): void
  readCounters(cache: number, group: string): Float64Array
  resetCounters(cache: number, group: string): void
  close(cache: number): boolean
  options(cache: number): Omit<EngineSettings, 'policy' | 'updateAgeOnGet'> & {
    serializer: number
    policy: number
    updateAgeOnGet: number
    tiered: number
  }
  tell(cache: number, ms: number): void
  get(cache: number, key: string): Stored | undefined
  near(
    cache: number,
  ): [versions: Float64Array, time: Float64Array, report: Float64Array, margin: number] | undefined
  now(cache: number): number
  getNear(cache: number, key: string, written: number): Stored | null | undefined
  reportReads(cache: number, read: Float64Array, count: number, hits: number): void
  peek(cache: number, key: string): Stored | undefined
  take(cache: number, key: string): Stored | undefined
  has(cache: number, key: string): boolean
  set(
    cache: number,
    key: string,
    value: Stored,
    ttl?: number,
    fence?: number,
    tags?: Tags,
    grace?: number,
  ): number
  setIfAbsent(
    cache: number,
    key: string,
    value: Stored,
    ttl?: number,
    tags?: Tags,
    grace?: number,
    fence?: number,
  ): number
  touch(cache: number, key: string, ttl?: number): boolean
  peekFenced(cache: number, key: string): [value: Stored | undefined, fence: number]
  increment(cache: number, key: string, by: number, ttl?: number): number | null | undefined
  delete(cache: number, key: string): boolean
  remainingTtl(cache: number, key: string): number
  getMany(cache: number, keys: readonly string[]): (Stored | undefined)[]
  hasMany(cache: number, keys: readonly string[]): boolean[]
  deleteMany(cache: number, keys: readonly string[]): boolean[]
  setMany(
    cache: number,
    keys: readonly string[],
    values: readonly Stored[],
    ttls: number | undefined | readonly (number | undefined)[],
  ): number[]
  scan(cache: number, stripe: number, slot: number, limit: number): (number | string)[]
  walk(cache: number, stripe: number, slot: number, limit: number): (number | string)[]
  toRecords(
    cache: number,
    stripe: number,
    slot: number,
    limit: number,
  ): [stripe: number, slot: number, count: number, bytes: Uint8Array]
  fromRecords(
    cache: number,
    records: Uint8Array,
    age: number,
    fence: number,
    room: number,
    limit: number,
  ): [read: number, ...counts: number[]]
  purge(cache: number, budget: number): number
  clear(cache: number): void
  size(cache: number): number
  bytes(cache: number): number
  fence(cache: number): number
  permits(cache: number, key: string, fence: number, tags?: Tags): boolean
  claim(cache: number, key: string, timeout: number, tags?: Tags): [number, number] | undefined
  settle(cache: number, key: string, lease: number): boolean
  leases(cache: number): number
  getStale(cache: number, key: string): [Stored, number] | undefined
  isDue(cache: number, key: string, part: number): boolean
  invalidateTag(cache: number, tag: string): void
  time(cache: number): number
  extend(cache: number, epoch: number, until: number): boolean
  suspend(cache: number): void
  heldUntil(cache: number): number
  seen(cache: number): [epoch: number, sequence: number]
  saw(cache: number, epoch: number, sequence: number): boolean
  follow(cache: number): boolean
  position(cache: number): [epoch: number, sequence: number]
  advance(cache: number, epoch: number, sequence: number): void
  pend(cache: number, names: readonly string[]): void
  pending(cache: number): (number | string)[]
  pendingCount(cache: number): number
  glance(cache: number, into: Float64Array): void
  delivered(cache: number, ids: Float64Array): void
  acknowledged(cache: number, epoch: number, names: readonly string[], ms: number): void
  redeliver(cache: number, epoch: number): void
  peers(): (string | number | boolean)[]
  introduce(folder: string): void
  heldElsewhere(name: string, fallback: number): [engine: EngineKind, folder: string] | undefined
  reserve(name: string): void
  unreserve(name: string): void
  stats(cache: number): EngineStats
  resetStats(cache: number): void
}
