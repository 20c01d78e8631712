/**
 * Writes the public types of the build to `__test__/project/sark-cache.api.md`, or with `--check` says whether they
 * differ from it. A change of the API is a change of that file.
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
const config = ExtractorConfig.prepare({
  configObjectFullPath: undefined,
  packageJsonFullPath: path.join(root, 'package.json'),
  configObject: {
    projectFolder: root,
    mainEntryPointFilePath: path.join(root, 'dist/index.d.ts'),
    compiler: {
      overrideTsconfig: {
        compilerOptions: { ...compilerOptions, rootDir: 'dist', outDir: folder },
        files: ['dist/index.d.ts'],
      },
    },
    apiReport: {
      enabled: true,
      reportFolder: path.join(root, '__test__/project'),
      reportTempFolder: folder,
      reportFileName: 'sark-cache',
      includeForgottenExports: true,
    },
    docModel: { enabled: false },
    dtsRollup: { enabled: false },
    tsdocMetadata: { enabled: false },
    newlineKind: 'lf',
    messages: { extractorMessageReporting: quiet, tsdocMessageReporting: quiet },
  },
})
try {
  const { apiReportChanged } = Extractor.invoke(config, {
    localBuild: !isCheck,
    messageCallback: (message) => {
      message.handled = true
      if (message.logLevel === 'error') console.error(message.text)
    },
  })
  if (isCheck && apiReportChanged) {
    console.error(
      'sark-cache.api.md is not what dist declares: run `npm run api`, and look at the difference',
    )
    process.exitCode = 1
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}
