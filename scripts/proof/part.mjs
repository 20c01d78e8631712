/**
 * Those of the known defects that `SARK_CACHE_DEFECTS` chooses: by a part of their name, or, as `1/3`, every third from
 * the first on. Without it, all.
 *
 * @template {{ name: string }} T
 * @param {T[]} known
 */
export function part(known) {
  const chosen = process.env.SARK_CACHE_DEFECTS ?? ''
  const [, nth, of] = /^(\d+)\/(\d+)$/.exec(chosen) ?? []
  if (of === undefined) return known.filter(({ name }) => name.includes(chosen))
  return known.filter((_, at) => at % Number(of) === Number(nth) - 1)
}
