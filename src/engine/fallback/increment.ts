import { notANumber, notFinite, parseNumber } from '../number.js'
import { sizeOf } from './charge.js'
import type { Namespace } from './namespaces.js'
import type { Store } from './store.js'

/** As `increment` of the engine, on the entries of a namespace. */
export function increment(
  store: Store,
  namespace: Namespace,
  bareKey: string,
  by: number,
  ttl: number | undefined,
): number {
  if (!Number.isFinite(by)) throw notFinite(bareKey)
  const key = namespace.at(bareKey)
  const old = store.find(key)
  if (old === undefined) {
    store.set(namespace, bareKey, JSON.stringify(by), ttl, undefined, undefined, undefined)
    return by
  }
  const number = parseNumber(old.value)
  if (number === undefined) throw notANumber(bareKey)
  const sum = number + by
  if (!Number.isFinite(sum)) throw notFinite(bareKey)
  const value = JSON.stringify(sum)
  const size = old.size - sizeOf(old.value) + sizeOf(value)
  const { maxEntrySize, maxSize } = store.settings
  if (size > Math.min(maxEntrySize, maxSize)) {
    store.remove(key)
    store.count('rejections', namespace)
    return sum
  }
  const sequence = store.fences.write()
  store.put({
    ...old,
    value,
    size,
    fence: sequence,
    written: sequence,
    due: undefined,
    copy: undefined,
  })
  return sum
}
