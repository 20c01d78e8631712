import { defineConfig } from 'vitest/config'

/** The tests of what is released: packages, installs, runtimes, bundlers, and crashes. */
export default defineConfig({
  test: {
    include: ['__test__/release/**/*.test.ts'],
    globalSetup: ['__test__/release/helpers/packages.ts'],
    // Each starts processes of its own, and many of them threads.
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
})
