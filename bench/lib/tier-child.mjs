// Another process: holds values, and says when it has let go of one.

import { CONTENDERS } from './tier-contenders.mjs'

const [name, at] = process.argv.slice(2)
const cache = await CONTENDERS[/** @type {keyof typeof CONTENDERS} */ (name)](JSON.parse(at ?? ''), true)
const tell = (/** @type {unknown} */ what) => process.send?.(what)

process.on('message', async (place) => {
  const key = `held${place}`
  await cache.getOrSet(key, async () => 'held')
  tell('held')
  // What it is asked for is answered from memory while it is held, and from Redis, which has nothing, once it is not.
  while ((await cache.get(key)) !== undefined) await new Promise((resolve) => setImmediate(resolve))
  tell(String(process.hrtime.bigint()))
})
tell('open')
