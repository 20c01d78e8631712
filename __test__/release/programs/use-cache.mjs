/** Random use of caches, of every kind of call. */

const KEYS = 2_000

/** Makes one random call on `cache`, and checks what can be checked with other threads at work on it. */
export function useOnce(cache, random) {
  const key = `key ${Math.floor(random() * KEYS)}`
  const other = `key ${Math.floor(random() * KEYS)}`
  const what = random()
  if (what < 0.4) {
    const value = cache.get(key)
    if (value !== undefined && value.key !== key) throw new Error(`${key} holds ${JSON.stringify(value)}`)
  } else if (what < 0.7) {
    const filler = 'x'.repeat(Math.floor(random() * 3_000))
    cache.set(key, { key, filler }, { ttl: 1 + random() * 50, tags: [key, 'all'] })
  } else if (what < 0.75) cache.getMany([key, other])
  else if (what < 0.8) cache.setMany([key, other].map((name) => ({ key: name, value: { key: name } })))
  else if (what < 0.85) cache.delete(key)
  else if (what < 0.9) cache.invalidateTag(key)
  else if (what < 0.93) cache.set(key, { key }, { fence: cache.fence(), tags: [other] })
  else if (what < 0.96) cache.purgeStale()
  else if (what < 0.97)
    for (const name of cache.keys())
      if (name === other) break
      else if (what < 0.975) cache.invalidateTag('all')
      else cache.stats()
}

/** Makes `calls` of them, forever if it is `Infinity`. */
export function use(cache, random, calls) {
  for (let call = 0; call < calls; call++) useOnce(cache, random)
}
