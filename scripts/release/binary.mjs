/** Reads what a native binary is from its headers: of which format, for which machine, and what it asks for. */

const ELF_MACHINE = { 62: 'x64', 183: 'arm64', 40: 'arm' }
const MACH_CPU = { 16777223: 'x64', 16777228: 'arm64' }
const PE_MACHINE = { 34404: 'x64', 43620: 'arm64' }

const SYMTAB = 2

/** Orders versions by their numbers. */
const { compare } = new Intl.Collator('en', { numeric: true })

/** Names in a binary, which are plain text with a 0 after it, each once. */
function namesIn(bytes, pattern) {
  return [...new Set(bytes.toString('latin1').match(pattern) ?? [])]
}

/** Whether an ELF file has no table of symbols but that of the dynamic linker. */
function isStripped(bytes) {
  const wide = bytes[4] === 2
  const start = wide ? Number(bytes.readBigUInt64LE(40)) : bytes.readUInt32LE(32)
  const size = bytes.readUInt16LE(wide ? 58 : 46)
  const count = bytes.readUInt16LE(wide ? 60 : 48)
  return Array.from({ length: count }, (_, index) => start + index * size).every(
    (section) => bytes.readUInt32LE(section + 4) !== SYMTAB,
  )
}

function describeElf(bytes) {
  const cpu = ELF_MACHINE[bytes.readUInt16LE(18)]
  // The versions of symbols that it asks for.
  const glibc = namesIn(bytes, /(?<=\0GLIBC_)\d[\d.]*(?=\0)/g)
    .toSorted(compare)
    .at(-1)
  return { os: 'linux', cpu, stripped: isStripped(bytes), glibc }
}

function describePe(bytes) {
  const at = bytes.readUInt32LE(0x3c)
  if (at + 6 > bytes.length || bytes.readUInt32BE(at) !== 0x50450000) return undefined
  const cpu = PE_MACHINE[bytes.readUInt16LE(at + 4)]
  // Symbols are in a file of their own.
  return { os: 'win32', cpu, stripped: true, libraries: namesIn(bytes, /\b[\w-]+\.dll(?=\0)/gi) }
}

/**
 * What a binary is: `os` and `cpu` in Node's words, whether it is `stripped`, the `glibc` version that it
 * needs at the least, and the `libraries` that one for Windows needs. `undefined` if it is no binary.
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
  return compare(left, right) > 0
}
