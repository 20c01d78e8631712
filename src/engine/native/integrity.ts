import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { createRequire } from 'node:module'

/** Where the fields of an ELF file lie, by its class: 32 bits or 64. Both are read in little-endian order. */
const LAYOUT = {
  1: { header: 52, table: 28, entrySize: 42, entries: 44, offset: 4, size: 16 },
  2: { header: 64, table: 32, entrySize: 54, entries: 56, offset: 8, size: 32 },
} as const

type Layout = (typeof LAYOUT)[keyof typeof LAYOUT]

function word(bytes: Buffer, at: number, { header }: Layout): number {
  return header === LAYOUT[1].header ? bytes.readUInt32LE(at) : Number(bytes.readBigUInt64LE(at))
}

/** The first `size` bytes at `position`, or fewer if the file ends before. */
function read(file: number, position: number, size: number): Buffer {
  const bytes = Buffer.alloc(size)
  return bytes.subarray(0, readSync(file, bytes, 0, size, position))
}

/** The bytes that a file must have for its segments to lie within it; 0 if it is no ELF file. */
function needed(file: number, length: number): number {
  const header = read(file, 0, LAYOUT[2].header)
  // The system's own words for an empty file are each C library's.
  if (header.length === 0) return LAYOUT[1].header
  if (header.length < 5 || header.readUInt32BE(0) !== 0x7f454c46) return 0
  const layout = LAYOUT[header[4] as keyof typeof LAYOUT]
  if (layout === undefined) return 0
  if (header.length < layout.header) return layout.header
  const entrySize = header.readUInt16LE(layout.entrySize)
  const start = word(header, layout.table, layout)
  let end = start + entrySize * header.readUInt16LE(layout.entries)
  if (end > length) return end
  const table = read(file, start, end - start)
  for (let at = 0; at + entrySize <= table.length; at += entrySize) {
    end = Math.max(end, word(table, at + layout.offset, layout) + word(table, at + layout.size, layout))
  }
  return end
}

/**
 * Throws if a file is a Linux binary without its end, such as an installation leaves that was broken off.
 * The system would map it all the same, and the process would die of SIGBUS where the file ends.
 */
export function assertWhole(path: string): void {
  const file = openSync(path, 'r')
  try {
    const { size } = fstatSync(file)
    const whole = needed(file, size)
    if (size < whole) {
      throw new Error(`${path} is cut short: it has ${size} of at least ${whole} bytes; install it again`)
    }
  } finally {
    closeSync(file)
  }
}

/** The binaries of this platform that a loader at `loader` may load. */
export function binariesFor(loader: string): string[] {
  if (process.platform !== 'linux') return []
  const { resolve } = createRequire(loader)
  const forced = process.env.NAPI_RS_NATIVE_LIBRARY_PATH
  const names =
    process.arch === 'arm'
      ? ['arm-gnueabihf', 'arm-musleabihf']
      : ['gnu', 'musl'].map((libc) => `${process.arch}-${libc}`)
  const places = forced
    ? [forced]
    : names.flatMap((name) => [`./sark-cache.linux-${name}.node`, `@sark-cache/linux-${name}`])
  return places.flatMap((place) => {
    try {
      return [resolve(place)]
    } catch {
      return []
    }
  })
}
