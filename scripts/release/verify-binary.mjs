/** Says what is wrong with the binary in `native/` for a target: `node scripts/release/verify-binary.mjs TARGET`. */

import { readFileSync } from 'node:fs'
import path from 'node:path'
import { root } from '../lib.mjs'
import { describeBinary } from './binary.mjs'
import { platforms } from './targets.mjs'
import { binaryFaults } from './verify.mjs'

const platform = platforms.find(({ target }) => target === process.argv[2])
if (platform === undefined) throw new Error(`${process.argv[2]} is no target of package.json`)
const bytes = readFileSync(path.join(root, 'native', platform.binary))
console.log(platform.binary, bytes.length, describeBinary(bytes))
const faults = binaryFaults(bytes, platform)
for (const fault of faults) console.error(`fault: ${platform.binary} ${fault}`)
process.exitCode = faults.length > 0 ? 1 : 0
