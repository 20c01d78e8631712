/** MurmurHash3 of 32 bits (A. Appleby), over UTF-16 units. */
function hashOf(text: string, seed: number): number {
  let hash = seed
  for (let at = 0; at < text.length; at++) {
    let unit = Math.imul(text.charCodeAt(at), 0xcc9e2d51)
    unit = (unit << 15) | (unit >>> 17)
    hash ^= Math.imul(unit, 0x1b873593)
    hash = (hash << 13) | (hash >>> 19)
    hash = (Math.imul(hash, 5) + 0xe6546b64) | 0
  }
  hash ^= text.length
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

/**
 * A function that says whether somebody is among so many of a hundred. It says the same in every thread and process that
 * has the key, and who is among them stays so when they become more.
 */
export function buckets(key: string): (subject: string, percentage: number) => boolean {
  const seed = hashOf(key, 0)
  return (subject, percentage) => (hashOf(subject, seed) / 2 ** 32) * 100 < percentage
}
