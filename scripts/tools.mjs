/** Installs the runtimes and checkers that `tools/package.json` names into `tools/node_modules`. */

import { install } from './lib.mjs'

install('tools')
