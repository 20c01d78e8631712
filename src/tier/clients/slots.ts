import type { Address } from './node-redis.js'

/** How a program maps the addresses that a cluster tells to those that it is reached at. */
export type AddressMap =
  | { readonly [address: string]: Address }
  | ((address: string) => Address | null | undefined)
  | null
  | undefined

const SLOTS = 16_384

/** The slot of a key in a cluster: that of the first part of it in braces, if there is one. */
export function slotOf(key: string): number {
  const from = key.indexOf('{')
  const to = from < 0 ? -1 : key.indexOf('}', from + 1)
  return crc16(Buffer.from(to > from + 1 ? key.slice(from + 1, to) : key)) % SLOTS
}

/**
 * The master of a slot, in a reply to `CLUSTER SLOTS`.
 *
 * @param asked The host that replied: the cluster may not know under which name it is reached.
 */
export function masterOf(reply: unknown, slot: number, asked: string | undefined): Address | undefined {
  if (!Array.isArray(reply)) return undefined
  for (const range of reply as unknown[]) {
    if (!Array.isArray(range) || !(Number(range[0]) <= slot && slot <= Number(range[1]))) continue
    const master: unknown = range[2]
    if (!Array.isArray(master)) return undefined
    const told = master[0] === null || master[0] === undefined ? '' : String(master[0])
    const host = told === '' || told === '?' ? asked : told
    const port = Number(master[1])
    return host !== undefined && port > 0 ? { host, port } : undefined
  }
  return undefined
}

/** Where a server is reached. */
export function mapped(address: Address, map: AddressMap): Address {
  const name = `${address.host}:${address.port}`
  const other = typeof map === 'function' ? map(name) : map?.[name]
  return other ?? address
}

/** The remainder of bytes by x¹⁶ + x¹² + x⁵ + 1, as clusters of Redis divide their keys. */
function crc16(bytes: Uint8Array): number {
  let rest = 0
  for (const byte of bytes) {
    rest ^= byte << 8
    for (let bit = 0; bit < 8; bit++) rest = ((rest << 1) ^ (rest & 0x8000 ? 0x1021 : 0)) & 0xffff
  }
  return rest
}
