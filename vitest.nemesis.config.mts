import { defineConfig } from 'vitest/config'

/** What takes minutes and has servers befallen by all kinds of things; needs a build. */
export default defineConfig({
  test: {
    include: [
      '__test__/tier/nemesis/*.test.ts',
      '__test__/tier/topologies/*.test.ts',
      '__test__/tier/failures.test.ts',
      '__test__/tier/exit.test.ts',
    ],
    env: { SARK_TEST_NEMESIS: '1' },
    fileParallelism: false,
    testTimeout: 180_000,
    hookTimeout: 60_000,
  },
})
