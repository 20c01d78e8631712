/** An application to bundle: tells which engine it got, and why not the native one. */

import { Cache, rustCacheLoadError } from 'sark-cache'

const cache = new Cache({ name: 'app', max: 10 })
cache.set('k', { a: 1 })
console.log(JSON.stringify({ engine: cache.engine, value: cache.get('k'), code: rustCacheLoadError()?.code }))
