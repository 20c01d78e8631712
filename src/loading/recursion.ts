import type { AsyncLocalStorage } from 'node:async_hooks'

/** A load under way, and the one that began it. */
interface Link {
  readonly owner: object
  readonly key: string
  readonly outer: Link | undefined
}

/**
 * Whether this runtime follows asynchronous contexts at no cost to others. Node.js before 24 does it with a hook on
 * every promise of the process, which makes each three times as slow.
 */
function followsContexts(): boolean {
  const [major] = (process.versions.node ?? '').split('.')
  return process.versions.bun !== undefined || process.versions.deno !== undefined || Number(major) >= 24
}

let storage: AsyncLocalStorage<Link> | undefined
let isLookedFor = false

function contexts(): AsyncLocalStorage<Link> | undefined {
  if (!isLookedFor) {
    isLookedFor = true
    if (followsContexts()) {
      const { AsyncLocalStorage } = require('node:async_hooks') as typeof import('node:async_hooks')
      storage = new AsyncLocalStorage()
    }
  }
  return storage
}

/** The load that is being called, where contexts are not followed: up to its first `await`. */
let calling: Link | undefined

function current(): Link | undefined {
  return isLookedFor ? (contexts()?.getStore() ?? calling) : calling
}

/** Whether this is run by a load of `key` by `owner`, directly or through other loads. */
export function isWithin(owner: object, key: string): boolean {
  for (let link = current(); link !== undefined; link = link.outer) {
    if (link.owner === owner && link.key === key) return true
  }
  return false
}

/** Runs `load` as the load of `key` by `owner`. */
export function within<R>(owner: object, key: string, load: () => R): R {
  const link: Link = { owner, key, outer: current() }
  const storage = contexts()
  if (storage !== undefined) return storage.run(link, load)
  const before = calling
  calling = link
  try {
    return load()
  } finally {
    calling = before
  }
}
