/** @typedef {import('./workload.mjs').Decision} Decision */

/** A map that holds values as JSON. */
export class JsonMap {
  #map

  /** @param {Map<string, string>} map */
  constructor(map = new Map()) {
    this.#map = map
  }

  /** @param {string} key */
  get(key) {
    const text = this.#map.get(key)
    return text === undefined ? undefined : JSON.parse(text)
  }

  /**
   * @param {string} key
   * @param {unknown} value
   */
  set(key, value) {
    this.#map.set(key, JSON.stringify(value))
    return true
  }

  /** @param {string} key */
  delete(key) {
    return this.#map.delete(key)
  }

  get size() {
    return this.#map.size
  }
}

/** A map in which a new key takes the place of the oldest one. */
export class FifoMap extends Map {
  // A new iterator for each eviction would pass over the places of all keys deleted before.
  #oldest = this.keys()
  #max

  /** @param {number} max */
  constructor(max) {
    super()
    this.#max = max
  }

  /**
   * @override
   * @param {string} key
   * @param {unknown} value
   */
  set(key, value) {
    if (this.size === this.#max && !this.has(key)) this.delete(this.#oldest.next().value)
    return super.set(key, value)
  }
}

/** What has the methods of a cache and keeps nothing: what is left is the text. */
export class Stringifier {
  /**
   * @param {string} _key
   * @param {unknown} value
   */
  set(_key, value) {
    return JSON.stringify(value).length > 0
  }
}
