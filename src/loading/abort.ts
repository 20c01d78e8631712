/** Told when a signal is aborted. */
type Listener = () => void

/**
 * Who listens to a signal, by signal. Each signal is given one listener however many calls have it: Node.js warns of a
 * leak from the eleventh on.
 */
const listening = new WeakMap<
  AbortSignal,
  { readonly listeners: Set<Listener>; readonly onAbort: Listener }
>()

/** Calls `listener` once when `signal` is aborted, unless {@link unlisten} comes first. */
export function listen(signal: AbortSignal, listener: Listener): void {
  let found = listening.get(signal)
  if (found === undefined) {
    const listeners = new Set<Listener>()
    found = {
      listeners,
      onAbort() {
        listening.delete(signal)
        for (const each of listeners) each()
      },
    }
    listening.set(signal, found)
    signal.addEventListener('abort', found.onAbort, { once: true })
  }
  found.listeners.add(listener)
}

export function unlisten(signal: AbortSignal, listener: Listener): void {
  const found = listening.get(signal)
  if (found === undefined) return
  found.listeners.delete(listener)
  if (found.listeners.size > 0) return
  listening.delete(signal)
  signal.removeEventListener('abort', found.onAbort)
}
