import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { installAll, type Project } from './helpers/project.js'
import { printedBy, runCommand } from './helpers/run.js'

const tools = path.join(__dirname, '../../tools/node_modules')

/** Bundles `app.mjs` with a script that runs in the project, then runs what came out. */
async function bundleAndRun({ folder }: Project, script: string, output: string) {
  writeFileSync(path.join(folder, 'bundle.cjs'), script)
  printedBy(await runCommand(process.execPath, ['bundle.cjs'], { cwd: folder }))
  const ended = await runCommand(process.execPath, [output], { cwd: folder })
  return { ...JSON.parse(printedBy(ended)), warned: ended.err.includes('SARK_CACHE_FALLBACK') }
}

const at = (name: string): string => JSON.stringify(path.join(tools, name))
const native = { engine: 'rust', value: { a: 1 }, warned: false }
const fallback = { engine: 'js', value: { a: 1 }, code: 'ERR_CACHE_ENGINE_UNAVAILABLE', warned: true }

describe('an application that is bundled', () => {
  let project: Project
  beforeAll(async () => {
    project = await installAll()
  })
  afterAll(() => project.remove())

  const esbuild = (format: string, outfile: string, more: string) => `
    require(${at('esbuild')}).build({
      entryPoints: ['app.mjs'], bundle: true, platform: 'node', format: '${format}', outfile: '${outfile}', ${more}
    })`

  it.each([
    ['esm', 'out/esbuild.mjs'],
    ['cjs', 'out/esbuild.cjs'],
  ])('by esbuild as %s, with the package external, has the native engine', async (format, outfile) => {
    const script = esbuild(format, outfile, `external: ['sark-cache']`)
    expect(await bundleAndRun(project, script, outfile)).toEqual(native)
  })

  it('by esbuild, with the package inside, works on the fallback engine and says so', async () => {
    const script = esbuild('cjs', 'out/inside.cjs', '')
    expect(await bundleAndRun(project, script, 'out/inside.cjs')).toEqual(fallback)
  })

  const webpack = (more: string, filename: string) => `
    require(${at('webpack')})({
      mode: 'production', target: 'node', entry: './app.mjs', ${more}
      output: { path: __dirname + '/out', filename: '${filename}' },
    }, (error, stats) => { if (error || stats.hasErrors()) throw error ?? new Error(stats.toString()) })`

  it('by webpack, with the package external, has the native engine', async () => {
    const script = webpack(`externals: { 'sark-cache': 'commonjs sark-cache' },`, 'webpack.cjs')
    expect(await bundleAndRun(project, script, 'out/webpack.cjs')).toEqual(native)
  })

  it('by Vite for the server has the native engine, for it leaves dependencies out', async () => {
    const script = `
      import(require('node:url').pathToFileURL(require('node:path').join(${at('vite')}, 'dist/node/index.js')).href)
        .then(({ build }) => build({
          configFile: false, logLevel: 'error', build: { ssr: 'app.mjs', outDir: 'out/vite', emptyOutDir: false },
        }))`
    expect(await bundleAndRun(project, script, 'out/vite/app.mjs')).toEqual(native)
  })
})
