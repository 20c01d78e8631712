import { checkedKeys, itemsOf } from '../common/validate.js'
import { Outcome } from '../engine/engine.js'
import type { CacheCore } from './core.js'
import { parseSetEntry, type SetEntry } from './set-options.js'

export function getMany<V>(core: CacheCore<V>, keys: readonly string[]): (V | undefined)[] {
  const checked = checkedKeys(keys)
  core.near?.beforeWrite()
  return core.engine.getMany(checked).map((stored) => core.decodeFound(stored))
}

export function hasMany<V>({ engine }: CacheCore<V>, keys: readonly string[]): boolean[] {
  return engine.hasMany(checkedKeys(keys))
}

export function deleteMany<V>(core: CacheCore<V>, keys: readonly string[]): boolean[] {
  const checked = checkedKeys(keys)
  const deleted = core.engine.deleteMany(checked)
  for (const key of checked) core.onInvalidate('key', key)
  return deleted
}

export function setMany<V>(core: CacheCore<V>, entries: readonly SetEntry<V>[]): boolean[] {
  let isPlain = true
  const prepared = itemsOf(entries, 'the entries').map((entry) => {
    const { key, value, ttl, fence, tags } = parseSetEntry<V>(entry, core.timeOfDay)
    isPlain &&= fence === undefined && tags === undefined
    return { key, stored: core.encode(value), ttl, fence, tags }
  })
  if (isPlain) core.onWrite()
  const outcomes = isPlain
    ? core.engine.setMany(
        prepared.map(({ key }) => key),
        prepared.map(({ stored }) => stored),
        prepared.map(({ ttl }) => ttl),
      )
    : prepared.map(({ key, stored, ttl, fence, tags }) => core.store(key, stored, ttl, fence, tags))
  return outcomes.map((outcome) => outcome === Outcome.Stored)
}
