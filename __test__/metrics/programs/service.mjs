/**
 * A service in trouble, for Prometheus to scrape: its caches are too small, its loads fail, are slow and are overtaken.
 * Prints the port on which `/metrics` is served, and ends with its input.
 */

import { createServer } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { register } from 'prom-client'
import { Cache, PolicyCache } from 'sark-cache'
import { exposeMetrics } from 'sark-cache/prometheus'
import { TieredCache } from 'sark-cache/tier'

exposeMetrics()

const loading = { staleIfError: 60_000, retryAfter: 20, refreshAhead: 0.9 }
const users = new Cache({ name: 'users', max: 50, maxSize: 50_000, maxEntrySize: 1_000, ttl: 200, loading })
const reports = new Cache({ name: 'reports', max: 10 })
const groups = new Cache({ name: 'groups', max: 10 })
const fallback = new Cache({ name: 'fallback', engine: 'js', max: 10 })
// Its Redis is down.
const redis = () => ({ send: () => Promise.reject(new Error('down')), on() {}, reset() {}, close() {} })
const fleet = new TieredCache({ name: 'fleet', redis })
const decisions = new PolicyCache({
  name: 'decisions',
  max: 1_000,
  staleIfError: 60_000,
  ttl: { internal: 300 },
  evaluate: async ({ user }) => {
    if (Math.random() < 0.3) throw new Error('the policy engine is down')
    return { allowed: user !== 'u0' }
  },
})

let turn = 0

/** What comes of calls that fail is what the metrics tell. */
const settled = (calls) => Promise.allSettled(calls)

async function traffic() {
  for (;;) {
    turn++
    const key = (n) => `k${Math.floor(Math.random() * n)}`
    await settled([
      ...Array.from({ length: 20 }, () => users.getOrSet(key(500), async () => turn, { tags: ['all'] })),
      users.getOrSet('shared', () => sleep(2, turn)),
      users.getOrSet('shared', () => sleep(2, turn)),
      users.getOrSet(key(20), () => Promise.reject(new Error('the database is down')), {
        forceRefresh: true,
      }),
      decisions.decide({ user: `u${turn % 5}`, action: 'read', resource: key(20), sensitivity: 'internal' }),
      decisions.decide({ user: `u${turn % 5}`, action: 'write', resource: 'r' }),
      fleet.getOrSet(key(20), async () => turn),
      fleet.delete(key(20)),
    ])
    users.get('shared')
    users.set('large', 'x'.repeat(2_000))
    users.invalidateTag('all')
    users.delete(key(500))
    fallback.set(key(20), turn)
    fallback.get(key(20))
    if (turn % 20 === 0) await decisions.invalidate({ user: 'u1' })
    await sleep(5)
  }
}

async function slow() {
  for (let n = 0; ; n++) {
    await settled([1, 2, 3].map((each) => reports.getOrSet(`${n} ${each}`, () => sleep(1_500, n))))
  }
}

/** Loads that an invalidation overtakes, and that are made again. */
async function overtaken() {
  for (let n = 0; ; n++) {
    let loads = 0
    const load = async () => {
      loads++
      if (loads === 1) groups.invalidateTag('members')
      return n
    }
    await settled([groups.getOrSet(`${n}`, load, { tags: ['members'] })])
    await sleep(20)
  }
}

/** Values that are served past their TTL while their loads fail. */
async function stale() {
  for (let n = 0; ; n++) {
    const load = n % 50 === 0 ? async () => n : () => Promise.reject(new Error('the database is down'))
    await settled(
      Array.from({ length: 40 }, () => fallback.getOrSet('stale', load, { ttl: 1, staleIfError: 60_000 })),
    )
    await sleep(5)
  }
}

traffic()
slow()
overtaken()
stale()

const server = createServer(async (_, response) => {
  response.setHeader('content-type', register.contentType)
  response.end(await register.metrics())
})
server.listen(0, '127.0.0.1', () => process.stdout.write(`${server.address().port}\n`))
process.stdin.resume().on('end', () => process.exit(0))
