/** By what the rooms above a cache reach its core. Not part of the package's interface. */
export const internals = Symbol('sark-cache.internals')

/** By what they reach how a policy cache evaluates. */
export const evaluation = Symbol('sark-cache.evaluation')
