/** The platforms of `package.json`, and what is known of each. */

import { readFileSync } from 'node:fs'
import path from 'node:path'
import { glibcVersion, root } from '../lib.mjs'

export const manifest = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'))

/** What the names of the platform packages begin with; the registry takes unscoped names of this kind for spam. */
export const scope = manifest.napi.packageName.split('/')[0]

/** The names that Node and npm have for the parts of a Rust target. */
const CPU = { x86_64: 'x64', aarch64: 'arm64', armv7: 'arm', riscv64gc: 'riscv64' }
const OS = { linux: 'linux', darwin: 'darwin', windows: 'win32' }

/**
 * A platform: its Rust target; its name, and that of its package and of the binary in it; and the system, the
 * processor and the C library in npm's words.
 *
 * @typedef {{
 *   target: string, name: string, package: string, binary: string,
 *   os: string, cpu: string, libc: 'glibc' | 'musl' | undefined,
 * }} Platform
 */

/** @type {(target: string) => Platform} */
function platform(target) {
  const [cpu, vendor, second, abi] = target.split('-')
  const os = OS[second ?? vendor]
  const name = [os, CPU[cpu], abi].filter(Boolean).join('-')
  const libc =
    abi?.startsWith('gnu') && os === 'linux' ? 'glibc' : abi?.startsWith('musl') ? 'musl' : undefined
  return {
    target,
    name,
    os,
    cpu: CPU[cpu],
    libc,
    package: `${scope}/${name}`,
    binary: `${manifest.napi.binaryName}.${name}.node`,
  }
}

/**
 * The platforms that packages are published for.
 *
 * @type {Platform[]}
 */
export const platforms = manifest.napi.targets.map(platform)

/**
 * The platform that this process runs on, if it is one of them.
 *
 * @returns {Platform | undefined}
 */
export function hostPlatform() {
  const libc = process.platform !== 'linux' ? undefined : glibcVersion() ? 'glibc' : 'musl'
  return platforms.find((one) => one.os === process.platform && one.cpu === process.arch && one.libc === libc)
}
