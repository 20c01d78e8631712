/** The most stripes of keys, and the fewest. Keys that share one may cost each other a miss. */
const MOST_STRIPES = 1 << 14
const FEWEST_STRIPES = 1 << 10

/** The most invalidated tags that are remembered, and the fewest. */
const MOST_TAGS = 1 << 16
const FEWEST_TAGS = 1 << 9

/** Not the same in two processes, so that nobody can choose keys that share a stripe. */
const SEED = Math.floor(Math.random() * 2 ** 32)

/** FNV-1a over the units of a string (G. Fowler, L. C. Noll, P. Vo), from a start of our own. */
function hashOf(text: string): number {
  let hash = SEED
  for (let at = 0; at < text.length; at++) {
    hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193)
  }
  return hash ^ (hash >>> 15)
}

/** The fence of the fallback engine: which keys and tags changed after a given moment. */
export class Fences {
  #sequence = 0
  #cleared = 0
  /** The sequence number of the latest invalidation of a tag. */
  lastTag = 0
  readonly #keys: Float64Array
  /** The latest invalidations of tags, the oldest first. */
  readonly #tags = new Map<string, number>()
  readonly #mostTags: number
  /** The sequence number of the latest invalidation that is no longer among them. */
  #floor = 0

  /** Tables that suit a cache of up to `max` entries. */
  constructor(max: number) {
    const stripes = Math.min(MOST_STRIPES, Math.max(FEWEST_STRIPES, 2 ** Math.ceil(Math.log2(max))))
    this.#keys = new Float64Array(stripes)
    this.#mostTags = Math.min(MOST_TAGS, Math.max(FEWEST_TAGS, Math.ceil(max / 4)))
  }

  #stripe(key: string): number {
    return hashOf(key) & (this.#keys.length - 1)
  }

  /** The sequence number of the latest change. */
  get now(): number {
    return this.#sequence
  }

  /** The sequence number of a change that leaves an entry behind, which remembers it. */
  write(): number {
    return ++this.#sequence
  }

  /** Records that a key was removed. */
  removeKey(key: string): void {
    this.#keys[this.#stripe(key)] = ++this.#sequence
  }

  /** Keeps in mind that a key was written at `sequence`, when the entry that knew it goes. */
  remember(key: string, sequence: number): void {
    const at = this.#stripe(key)
    this.#keys[at] = Math.max(this.#keys[at] as number, sequence)
  }

  invalidateTag(tag: string): void {
    this.lastTag = ++this.#sequence
    // To the end of the order.
    this.#tags.delete(tag)
    this.#tags.set(tag, this.#sequence)
    if (this.#tags.size <= this.#mostTags) return
    for (const [oldest, sequence] of this.#tags) {
      this.#floor = sequence
      this.#tags.delete(oldest)
      break
    }
  }

  clear(): void {
    this.#cleared = ++this.#sequence
  }

  /**
   * Whether a value as fresh as `fence` may be stored under `key`, whose entry was written at `written`, if
   * there is one, with `tags`. A fence from the future is that of another cache, and says nothing.
   */
  permits(
    fence: number,
    key: string,
    written: number | undefined,
    tags: readonly string[] | undefined,
  ): boolean {
    return (
      fence <= this.#sequence &&
      (written === undefined || written <= fence) &&
      this.#cleared <= fence &&
      (this.#keys[this.#stripe(key)] as number) <= fence &&
      this.tagsUnchanged(fence, tags)
    )
  }

  /** Whether none of the tags was invalidated after `fence`. */
  tagsUnchanged(fence: number, tags: readonly string[] | undefined): boolean {
    if (tags === undefined || this.lastTag <= fence) return true
    return this.#floor <= fence && tags.every((tag) => (this.#tags.get(tag) ?? 0) <= fence)
  }
}
