/**
 * Whether an object is a plain one, `{}` or one without a prototype, of whatever realm (jest and `vm` have their own
 * `Object.prototype`): its prototype, if it has one, is the last of its chain.
 */
export function isPlainObject(value: object): boolean {
  const prototype = Object.getPrototypeOf(value)
  return prototype === null || prototype === Object.prototype || Object.getPrototypeOf(prototype) === null
}
