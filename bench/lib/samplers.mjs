// The loops that time operations singly. Each candidate imports a copy of its own, as in loops.mjs.

/**
 * Times `ops` operations at once.
 *
 * @param {(ops: number) => number} run
 * @param {number} ops
 * @returns {(times: Float64Array) => number}
 */
export const atOnce = (run, ops) => (times) => {
  let sum = 0
  for (let at = 0; at < times.length; at++) {
    const start = performance.now()
    sum += run(ops)
    times[at] = ((performance.now() - start) * 1000) / ops
  }
  return sum
}

/**
 * Times operations that are answered with promises, of which `inFlight` are under way at any time.
 *
 * @param {(ops: number) => Promise<number>} run
 * @param {number} inFlight
 * @returns {(times: Float64Array) => Promise<number>}
 */
export const underWay = (run, inFlight) => async (times) => {
  let next = 0
  const one = async () => {
    let sum = 0
    while (next < times.length) {
      const at = next++
      const start = performance.now()
      sum += await run(1)
      times[at] = (performance.now() - start) * 1000
    }
    return sum
  }
  const sums = await Promise.all(Array.from({ length: inFlight }, one))
  return sums.reduce((all, sum) => all + sum)
}
