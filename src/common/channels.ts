import { type Channel, channel, tracingChannel } from 'node:diagnostics_channel'
import { debuglog } from 'node:util'
import type { EngineSettings } from './settings.js'

/** What `NODE_DEBUG=sark-cache` prints. */
export const debug = debuglog('sark-cache')

/** Told on `sark-cache:open`. */
export interface OpenMessage extends EngineSettings {
  /** The cache's name; `undefined` for a private one. */
  name: string | undefined
  engine: 'rust' | 'js'
}

/** Told on `sark-cache:close`. */
export interface CloseMessage {
  name: string | undefined
}

/** Told on `sark-cache:cleanup` after each run of a clean-up task. */
export interface CleanupMessage {
  /** Expired entries that the run removed. */
  removed: number
  durationMs: number
  /** Why it failed; `undefined` if it did not. */
  error: unknown
}

/** Told on the channels of `tracing:sark-cache:load`; `result` and `error` are as Node's `TracingChannel` sets them. */
export interface LoadMessage {
  name: string | undefined
  /** The key's digest, or the key itself where the cache was opened with `traceKeys`. */
  key: string
  /** Whether a value was served meanwhile. */
  isRefresh: boolean
  error?: unknown
}

/** Told on `sark-cache:invalidate` once what was named cannot be read any more. */
export interface InvalidateMessage {
  name: string | undefined
  /** What was named: one key, one tag, or everything. */
  kind: 'key' | 'tag' | 'clear'
  /** The digest of the key or tag, or it itself with `traceKeys`; `undefined` for `clear`. */
  what: string | undefined
}

/** Told on `sark-cache:evict`, at most ten times a second while something is written: what left since the last time. */
export interface EvictMessage {
  name: string | undefined
  /** Live values that left because `max` was reached. */
  max: number
  /** Live values that left because `maxSize` was reached. */
  maxSize: number
  /** Values that were removed after their TTL. */
  expired: number
}

/** Told on `sark-cache:background-error` when a load fails that nobody waits for. */
export interface BackgroundErrorMessage {
  name: string | undefined
  /** As in {@link LoadMessage}. */
  key: string
  error: unknown
}

export const opened: Channel = channel('sark-cache:open')
export const closed: Channel = channel('sark-cache:close')
export const cleaned: Channel = channel('sark-cache:cleanup')
export const invalidated: Channel = channel('sark-cache:invalidate')
export const evicted: Channel = channel('sark-cache:evict')
export const backgroundError: Channel = channel('sark-cache:background-error')

/** Not all runtimes have tracing channels. */
const loads =
  typeof tracingChannel === 'function' ? tracingChannel<string, LoadMessage>('sark-cache:load') : undefined

/** Has whoever wants to know told of loads; returns how to end that. Does nothing where there are no such channels. */
export function subscribeLoads(listeners: Parameters<NonNullable<typeof loads>['subscribe']>[0]): () => void {
  loads?.subscribe(listeners)
  return () => {
    loads?.unsubscribe(listeners)
  }
}

/** Runs `load`, telling of its start, its end and its error whoever subscribed to `tracing:sark-cache:load`. */
export function traced<V>(load: () => V | Promise<V>, message: () => LoadMessage): V | Promise<V> {
  if (loads === undefined) return load()
  const { start, end, asyncStart, asyncEnd, error } = loads
  const isWatched = [start, end, asyncStart, asyncEnd, error].some((each) => each.hasSubscribers)
  return isWatched ? loads.tracePromise(async () => load(), message()) : load()
}

/** Bytes of a key's digest that are told: enough to tell keys apart, and nothing to find them by. */
const DIGEST = 16

/** How a key or a tag is named on channels: by its digest, unless the cache was opened to tell it. */
export function nameOnChannels(text: string, isOpen: boolean): string {
  if (isOpen) return text
  const { createHash } = require('node:crypto') as typeof import('node:crypto')
  return createHash('sha256').update(text, 'utf16le').digest().subarray(0, DIGEST).toString('base64url')
}
