import { expect, it } from 'vitest'
import { peer } from '../../src/metrics/peer.js'
import { thrown } from '../support/engines.js'

it('names the package that cannot be loaded, and the version wanted', () => {
  const load = () => require('no-such-package-of-anybody')
  expect(thrown(() => peer('prom-client', '15', load))).toMatchObject({
    name: 'CacheError',
    code: 'ERR_CACHE_PEER_MISSING',
    message: expect.stringContaining('npm install prom-client@15'),
    cause: { code: 'MODULE_NOT_FOUND' },
  })
  expect(peer('any', '1', () => 5)).toBe(5)
})
