/** Stripes of each table. Keys or tags that share one may cost each other a miss. */
const STRIPES = 1 << 14

/** Not the same in two processes, so that nobody can choose keys that share a stripe. */
const SEED = Math.floor(Math.random() * 2 ** 32)

/** FNV-1a over the units of a string (G. Fowler, L. C. Noll, P. Vo), from a start of our own. */
function stripe(text: string): number {
  let hash = SEED
  for (let at = 0; at < text.length; at++) {
    hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193)
  }
  return (hash ^ (hash >>> 15)) & (STRIPES - 1)
}

/** The fence of the fallback engine: which keys and tags changed after a given moment. */
export class Versions {
  #sequence = 0
  #cleared = 0
  #lastTag = 0
  readonly #keys = new Float64Array(STRIPES)
  readonly #tags = new Float64Array(STRIPES)

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
    this.#keys[stripe(key)] = ++this.#sequence
  }

  /** Keeps in mind that a key was written at `sequence`, when the entry that knew it goes. */
  remember(key: string, sequence: number): void {
    const at = stripe(key)
    this.#keys[at] = Math.max(this.#keys[at] as number, sequence)
  }

  invalidateTag(tag: string): void {
    this.#tags[stripe(tag)] = ++this.#sequence
    this.#lastTag = this.#sequence
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
      (this.#keys[stripe(key)] as number) <= fence &&
      this.tagsUnchanged(fence, tags)
    )
  }

  /** Whether none of the tags was invalidated after `fence`. */
  tagsUnchanged(fence: number, tags: readonly string[] | undefined): boolean {
    if (tags === undefined || this.#lastTag <= fence) return true
    return tags.every((tag) => (this.#tags[stripe(tag)] as number) <= fence)
  }
}
