/** Installs the runtimes and checkers that `tools/package.json` names into `tools/node_modules`. */

import { run } from './lib.mjs'

run('npm', ['ci', '--prefix', 'tools', '--ignore-scripts', '--no-fund', '--no-audit'])
