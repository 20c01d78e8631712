/** Reads what a native binary is from its headers: of which format, for which machine, and what it asks for. */

const ELF_MACHINE = { 62: 'x64', 183: 'arm64', 40: 'arm' }
const MACH_CPU = { 16777223: 'x64', 16777228: 'arm64' }
const PE_MACHINE = { 34404: 'x64', 43620: 'arm64' }

const SYMTAB = 2
const VERNEED = 0x6ffffffe
const DYNAMIC = 6
const NEEDED = 1n

/** The sections of an ELF file, and the reading of its words, by its class. */
function elfSections(bytes) {
  const wide = bytes[4] === 2
  const word = (at) => (wide ? Number(bytes.readBigUInt64LE(at)) : bytes.readUInt32LE(at))
  const start = word(wide ? 40 : 32)
  const size = bytes.readUInt16LE(wide ? 58 : 46)
  const count = bytes.readUInt16LE(wide ? 60 : 48)
  return Array.from({ length: count }, (_, index) => {
    const at = start + index * size
    return {
      type: bytes.readUInt32LE(at + 4),
      offset: word(at + (wide ? 24 : 16)),
      size: word(at + (wide ? 32 : 20)),
      link: bytes.readUInt32LE(at + (wide ? 40 : 24)),
      info: bytes.readUInt32LE(at + (wide ? 44 : 28)),
    }
  })
}

function text(bytes, at) {
  return bytes.toString('latin1', at, bytes.indexOf(0, at))
}

/** The versions of other libraries' symbols that an ELF file asks for, such as `GLIBC_2.17`. */
function versionsNeeded(bytes, sections) {
  const found = new Set()
  for (const { offset, info, link } of sections.filter(({ type }) => type === VERNEED)) {
    const strings = sections[link].offset
    let file = offset
    for (let files = 0; files < info; files++) {
      let version = file + bytes.readUInt32LE(file + 8)
      for (let versions = 0; versions < bytes.readUInt16LE(file + 2); versions++) {
        found.add(text(bytes, strings + bytes.readUInt32LE(version + 8)))
        version += bytes.readUInt32LE(version + 12)
      }
      file += bytes.readUInt32LE(file + 12)
    }
  }
  return [...found]
}

function librariesNeeded(bytes, sections) {
  const wide = bytes[4] === 2
  const found = []
  for (const { offset, size, link } of sections.filter(({ type }) => type === DYNAMIC)) {
    for (let at = offset; at < offset + size; at += wide ? 16 : 8) {
      const tag = wide ? bytes.readBigUInt64LE(at) : BigInt(bytes.readUInt32LE(at))
      const value = wide ? Number(bytes.readBigUInt64LE(at + 8)) : bytes.readUInt32LE(at + 4)
      if (tag === NEEDED) found.push(text(bytes, sections[link].offset + value))
    }
  }
  return found
}

function newest(versions) {
  const parts = (version) => version.split('.').map(Number)
  const compare = (left, right) => {
    const [a, b] = [parts(left), parts(right)]
    const at = a.findIndex((part, index) => part !== (b[index] ?? 0))
    return at < 0 ? a.length - b.length : a[at] - (b[at] ?? 0)
  }
  return versions.toSorted(compare).at(-1)
}

function describeElf(bytes) {
  const sections = elfSections(bytes)
  const glibc = versionsNeeded(bytes, sections).flatMap((name) => /^GLIBC_([\d.]+)$/.exec(name)?.[1] ?? [])
  return {
    os: 'linux',
    cpu: ELF_MACHINE[bytes.readUInt16LE(18)],
    stripped: sections.every(({ type }) => type !== SYMTAB),
    glibc: newest(glibc),
    libraries: librariesNeeded(bytes, sections),
  }
}

function describePe(bytes) {
  const at = bytes.readUInt32LE(0x3c)
  if (at + 6 > bytes.length || bytes.readUInt32BE(at) !== 0x50450000) return undefined
  // The names of the libraries that it imports are plain text; symbols are in a file of their own.
  const libraries = bytes.toString('latin1').match(/\b[\w-]+\.dll(?=\0)/gi) ?? []
  const cpu = PE_MACHINE[bytes.readUInt16LE(at + 4)]
  return { os: 'win32', cpu, stripped: true, libraries: [...new Set(libraries)] }
}

/**
 * What a binary is: `os` and `cpu` in Node's words, whether it is `stripped`, the `glibc` version that it
 * needs at the least, and the `libraries` that it needs. `undefined` if it is no binary.
 *
 * @param {Buffer} bytes
 * @returns {{ os: string, cpu: string, stripped: boolean, glibc?: string, libraries?: string[] } | undefined}
 */
export function describeBinary(bytes) {
  if (bytes.length < 64) return undefined
  if (bytes.readUInt32BE(0) === 0x7f454c46) return describeElf(bytes)
  // Symbols of macOS that `strip` leaves are those of the dynamic linker; the size tells whether it ran.
  if (bytes.readUInt32LE(0) === 0xfeedfacf) {
    return { os: 'darwin', cpu: MACH_CPU[bytes.readUInt32LE(4)], stripped: true }
  }
  if (bytes.readUInt16BE(0) === 0x4d5a) return describePe(bytes)
  return undefined
}

/** Whether version `left` is newer than version `right`. */
export function isNewer(left, right) {
  return left !== right && newest([left, right]) === left
}
