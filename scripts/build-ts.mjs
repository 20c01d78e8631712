/** Builds the TypeScript into an empty `dist`: what is left of files that are gone would be released. */

import { rmSync } from 'node:fs'
import path from 'node:path'
import { root, run } from './lib.mjs'

rmSync(path.join(root, 'dist'), { recursive: true, force: true })
run('npx', ['--no-install', 'tsc', '-p', 'tsconfig.json'])
