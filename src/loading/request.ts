import type { GetOrSetOptions, LoadContext, LoadingOptions, LoadStatus } from './options.js'
import type { Missing } from './second-tier.js'

/** A call whose options were checked and whose defaults are filled in. */
export interface LoadRequest<V> {
  readonly key: string
  readonly load: (context: LoadContext<V>) => V | Promise<V>
  readonly ttl: number | undefined
  readonly tags: readonly string[] | undefined
  readonly signal: AbortSignal | undefined
  readonly timeout: number
  readonly hardTimeout: number
  readonly staleWhileRevalidate: number
  readonly staleIfError: number
  readonly refreshAhead: number
  readonly ttlJitter: number
  readonly retryAfter: number
  readonly status: LoadStatus | undefined
  /** What messages say is loaded, instead of the key. */
  readonly subject?: string
  /** Throws if what a load returned, as it is read from the cache, is none of its values; may change its context. */
  readonly check?: ((value: V, context: LoadContext<V>) => void) | undefined
  /** What the second tier answered just now, for the first load that this call begins. */
  readonly missing?: (() => Missing | undefined) | undefined
  /** Throws if what another process has stored, as it is read, is none of its values. */
  readonly validate?: ((value: V) => void) | undefined
  /** Whether a value serves this caller; one that does not is loaded anew, once. */
  readonly accepts?: ((value: V) => boolean) | undefined
  /** Why a value that was loaded anew does not serve. */
  readonly refusal?: ((value: V) => Error) | undefined
  /** Told what became of a result, where it came to storing it. */
  readonly onOutcome?: ((outcome: number) => void) | undefined
  /** Told that this call begins a load while a value is served. */
  readonly onRefresh?: (() => void) | undefined
  /** Told of a value of the second tier that this call found instead of loading. */
  readonly onRemote?: ((value: V) => void) | undefined
  /** Told that this call is served a value past its TTL. */
  readonly onStale?: ((value: V) => void) | undefined
  /** Told that a load that this call began has failed. */
  readonly onError?: (() => void) | undefined
}

/** What messages say is loaded. */
export function subjectOf({ subject, key }: Pick<LoadRequest<never>, 'subject' | 'key'>): string {
  return subject ?? JSON.stringify(key)
}

/** The part of a request that the options of a call, or else of its cache, determine. */
export type LoadSettings = Omit<
  LoadRequest<never>,
  'key' | 'load' | 'check' | 'validate' | 'accepts' | 'refusal' | 'onRemote' | 'onStale'
>

const DEFAULT_HARD_TIMEOUT = 30_000

/** The settings of a call: its checked options, or else the cache's. */
export function settingsOf(options: GetOrSetOptions, defaults: LoadingOptions): LoadSettings {
  return {
    ttl: options.ttl,
    tags: options.tags,
    signal: options.signal,
    status: options.status,
    ttlJitter: options.ttlJitter ?? defaults.ttlJitter ?? 0,
    refreshAhead: options.refreshAhead ?? defaults.refreshAhead ?? 0,
    timeout: options.timeout ?? defaults.timeout ?? Infinity,
    hardTimeout: options.hardTimeout ?? defaults.hardTimeout ?? DEFAULT_HARD_TIMEOUT,
    staleWhileRevalidate: options.staleWhileRevalidate ?? defaults.staleWhileRevalidate ?? 0,
    staleIfError: options.staleIfError ?? defaults.staleIfError ?? 0,
    retryAfter: options.retryAfter ?? defaults.retryAfter ?? 0,
  }
}
