/**
 * Writes the public types of the build to `__test__/project`, those of each subpath into a file of their own, or with
 * `--check` says whether they differ from those files. A change of the API is a change of one of them.
 */

import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Extractor, ExtractorConfig, ExtractorLogLevel } from '@microsoft/api-extractor'
import { root } from './lib.mjs'

const isCheck = process.argv.includes('--check')
const folder = mkdtempSync(path.join(tmpdir(), 'sark-cache-api-'))
const { compilerOptions } = JSON.parse(readFileSync(path.join(root, 'tsconfig.json'), 'utf8'))
const quiet = { default: { logLevel: ExtractorLogLevel.None } }
const { exports } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'))

/**
 * Writes or compares the types of one subpath.
 *
 * @param {string} subpath As in `exports`.
 * @param {string} types The declarations, below the root.
 */
function report(subpath, types) {
  const reportFileName = ['sark-cache', ...subpath.split('/').slice(1)].join('-')
  const config = ExtractorConfig.prepare({
    configObjectFullPath: undefined,
    packageJsonFullPath: path.join(root, 'package.json'),
    configObject: {
      projectFolder: root,
      mainEntryPointFilePath: path.join(root, types),
      compiler: {
        overrideTsconfig: {
          compilerOptions: { ...compilerOptions, rootDir: 'dist', outDir: folder },
          files: [types],
        },
      },
      apiReport: {
        enabled: true,
        reportFolder: path.join(root, '__test__/project'),
        reportTempFolder: folder,
        reportFileName,
        includeForgottenExports: true,
      },
      docModel: { enabled: false },
      dtsRollup: { enabled: false },
      tsdocMetadata: { enabled: false },
      newlineKind: 'lf',
      messages: { extractorMessageReporting: quiet, tsdocMessageReporting: quiet },
    },
  })
  const { apiReportChanged } = Extractor.invoke(config, {
    localBuild: !isCheck,
    messageCallback: (message) => {
      message.handled = true
      if (message.logLevel === 'error') console.error(message.text)
    },
  })
  if (isCheck && apiReportChanged) {
    console.error(
      `${reportFileName}.api.md is not what dist declares: run \`npm run api\`, and look at the difference`,
    )
    process.exitCode = 1
  }
}

try {
  for (const [subpath, file] of Object.entries(exports)) {
    if (file.endsWith('.js')) report(subpath, file.replace(/^\.\//, '').replace(/\.js$/, '.d.ts'))
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}
