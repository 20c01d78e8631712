/**
 * Calls `action` when this process ends, even if a signal ends it.
 *
 * @param {() => void} action
 * @returns {() => void} Takes it back.
 */
export function atEnd(action) {
  process.once('exit', action)
  // A signal that is not handled would end this process without an `exit` event.
  const interrupt = () => process.exit(130)
  process.once('SIGINT', interrupt)
  process.once('SIGTERM', interrupt)
  return () => {
    process.off('exit', action)
    process.off('SIGINT', interrupt)
    process.off('SIGTERM', interrupt)
  }
}
