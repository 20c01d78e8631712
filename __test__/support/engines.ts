import { isRustCacheAvailable, rustCacheLoadError } from '../../src/index.js'

/** The engines that can be tested here. */
export const engines: readonly ('rust' | 'js')[] = isRustCacheAvailable() ? ['rust', 'js'] : ['js']

/** Whether tests of the native engine must be skipped; says why, once a file. They fail instead where SARK_TEST_NATIVE is `required`. */
export const withoutRust = !isRustCacheAvailable()

if (withoutRust && process.env.SARK_TEST_NATIVE === 'required') {
  throw new Error('the native engine is required here, and cannot be loaded', { cause: rustCacheLoadError() })
}
if (withoutRust) {
  process.stderr.write(`skipped: tests of the native engine (${rustCacheLoadError()?.cause})\n`)
}

let names = 0

/** A name that no other test uses. */
export function uniqueName(): string {
  names++
  return `test ${process.pid} ${performance.now()} ${names}`
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

/** The error that `body` throws. */
export function thrown(body: () => unknown): Error & { code?: string } {
  try {
    body()
  } catch (error) {
    return error as Error
  }
  throw new Error('nothing was thrown')
}
