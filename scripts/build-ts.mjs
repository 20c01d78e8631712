/**
 * Builds the TypeScript into an empty `dist`, for what is left of files that are gone would be released: declarations
 * and modules by tsc, then each subpath of the package as one file beside one that they share, which load in a
 * fraction of the time of eighty.
 */

import { readFileSync, rmSync } from 'node:fs'
import path from 'node:path'
import { build } from 'rolldown'
import { root, run } from './lib.mjs'

const dist = path.join(root, 'dist')
rmSync(dist, { recursive: true, force: true })
run('npx', ['--no-install', 'tsc', '-p', 'tsconfig.json'])

const { exports } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'))
/** The modules that users import: `index`, and `metrics/prometheus` and its like. */
const entries = Object.values(exports)
  .filter((file) => file.startsWith('./dist/'))
  .map((file) => file.slice('./dist/'.length, -'.js'.length))
await build({
  input: Object.fromEntries(entries.map((entry) => [entry, path.join(root, 'src', `${entry}.ts`)])),
  platform: 'node',
  tsconfig: path.join(root, 'tsconfig.json'),
  // What is no file of the package is loaded where it is needed.
  external: /^[^./]/,
  logLevel: 'warn',
  // Names stay for whoever reads it, and for the tests that change a copy.
  optimization: { inlineConst: false },
  output: {
    dir: dist,
    format: 'cjs',
    exports: 'named',
    sourcemap: true,
    // Comments are in the types and in the source maps.
    comments: false,
    chunkFileNames: 'shared/[name].js',
    codeSplitting: {
      groups: [
        {
          name: 'cache',
          test: /src[\\/](?:common|engine|near|serializer|loading|cache|policy|cleanup)[\\/]/,
        },
      ],
    },
  },
})
