/** What is changed and read: how many keys, how often, and how soon the record forgets. */

export const PROCESSES = 3
export const THREADS = 2

/** All threads, each of which changes keys under a number of its own. */
export const WRITERS = PROCESSES * THREADS

/** Ms, as the caches are set up. */
export const STALENESS = 1_000
export const TTL = 4_000

/**
 * @typedef {'dense' | 'sparse'} ShapeName
 * @typedef {object} Shape
 * @property {number} keys
 * @property {number} tags Those of the first kind; each key has one of each.
 * @property {number} setKeys The first of the keys: each is only set, and by one writer.
 * @property {number} fields Names of a generation of the record.
 * @property {number} log Events of the log.
 * @property {number} rest Ms for which a key that was changed is left alone.
 * @property {number} pause The most ms between two changes of a writer's loop.
 */

/** @type {Readonly<Record<ShapeName, Shape>>} */
export const SHAPES = {
  // Everything is changed all the time, and soon forgotten.
  dense: { keys: 48, tags: 8, setKeys: 6, fields: 20, log: 200, rest: 0, pause: 120 },
  // A missed change is not hidden by the next one of its key.
  sparse: {
    keys: 1_200,
    tags: 400,
    setKeys: 60,
    fields: 5_000,
    log: 200,
    rest: 3 * STALENESS,
    pause: 200,
  },
}

/** @param {Shape} shape @param {number} key */
export const tagsOf = (shape, key) => [`t${key % shape.tags}`, `u${key % (shape.tags - 3)}`]

/** The keys that a change of a tag concerns, without those that are only set. */
export function keysOfTag(/** @type {Shape} */ shape, /** @type {string} */ tag) {
  const keys = []
  for (let key = shape.setKeys; key < shape.keys; key++) if (tagsOf(shape, key).includes(tag)) keys.push(key)
  return keys
}

export const now = () => {
  const [seconds, nanoseconds] = process.hrtime()
  return seconds * 1e3 + nanoseconds / 1e6
}
