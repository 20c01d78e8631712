/** Whether this is a trial: `SARK_BENCH_QUICK=1`, as `--quick` of run.mjs sets it. Its figures mean nothing. */
export const isQuick = process.env.SARK_BENCH_QUICK === '1'

/**
 * A size, a count or a time, or what a trial takes instead.
 *
 * @param {number} full
 * @param {number} trial
 */
export const scaled = (full, trial) => (isQuick ? trial : full)
