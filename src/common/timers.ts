/** The longest delay in ms that timers take; a longer one would fire at once. */
export const MAX_DELAY = 2 ** 31 - 1

/** A timer that keeps no process alive; none for a delay that is too long to be told. */
export function startTimer(ms: number, body: () => void): NodeJS.Timeout | undefined {
  if (ms > MAX_DELAY) return undefined
  const timer = setTimeout(body, ms)
  // Not all environments have timers of Node's: in jsdom they are numbers.
  timer.unref?.()
  return timer
}

/** A handle that keeps the process alive until it is cleared by `clearTimeout`. */
export function holdProcess(): NodeJS.Timeout {
  return setTimeout(() => {}, MAX_DELAY)
}

/** Lets the process live until `promise` is settled: somebody waits for it. */
export async function keepAlive<T>(promise: Promise<T>): Promise<T> {
  const handle = holdProcess()
  try {
    return await promise
  } finally {
    clearTimeout(handle)
  }
}
