import type { AsyncLocalStorage } from 'node:async_hooks'

/** A load, and the one that began it. */
interface Link {
  readonly owner: object
  readonly key: string
  readonly outer: Link | undefined
  /** Whether it has settled. What it left behind, a timer or a listener, is not within it any more. */
  isOver: boolean
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

/** The innermost load under way that runs this. */
function current(): Link | undefined {
  let link = storage?.getStore() ?? calling
  while (link?.isOver) link = link.outer
  return link
}

/** Whether this is run by a load of `key` by `owner` that is under way, directly or through other loads. */
export function isWithin(owner: object, key: string): boolean {
  for (let link = current(); link !== undefined; link = link.outer) {
    if (!link.isOver && link.owner === owner && link.key === key) return true
  }
  return false
}

/** Runs `load` as the load of `key` by `owner`. */
export async function within<V>(owner: object, key: string, load: () => V | Promise<V>): Promise<V> {
  const link: Link = { owner, key, outer: current(), isOver: false }
  try {
    const storage = contexts()
    return await (storage === undefined ? called(link, load) : storage.run(link, load))
  } finally {
    link.isOver = true
  }
}

function called<R>(link: Link, load: () => R): R {
  const before = calling
  calling = link
  try {
    return load()
  } finally {
    calling = before
  }
}
