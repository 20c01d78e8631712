import { holdProcess } from '../common/timers.js'

let waiting = 0
let handle: NodeJS.Timeout | undefined

/** Keeps the process alive until as many calls of {@link release}: connections do not, and somebody waits. */
export function hold(): void {
  if (waiting++ === 0) handle = holdProcess()
}

export function release(): void {
  if (--waiting === 0) clearTimeout(handle)
}
