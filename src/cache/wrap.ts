import { describe, wrongType } from '../common/errors.js'
import { callable, defineOptions, flag, type Parse, type Schema } from '../common/options.js'
import { checkFunction, checkKey } from '../common/validate.js'
import { GET_OR_SET, type GetOrSetOptions, type LoadContext, tagList } from '../loading/options.js'
import { type LoadSettings, settingsOf } from '../loading/request.js'
import type { CacheCore } from './core.js'

/** How {@link Cache.wrap} names and stores results. */
export interface WrapOptions<A extends unknown[], V>
  extends Omit<GetOrSetOptions, 'signal' | 'status' | 'tags' | 'forceRefresh'> {
  /** The key of a call, made of its arguments. */
  key: (...args: A) => string
  /**
   * Whether `load` is given a {@link LoadContext} after the arguments. Not by default: it would take the place of an
   * argument that was left out. Default: `false`.
   */
  context?: boolean | undefined
  /** Names under which `invalidateTag` finds a result, or a function of the result and the arguments that tells them. */
  tags?: readonly string[] | ((result: V, ...args: A) => readonly string[]) | undefined
}

/** A cached function, as {@link Cache.wrap} makes it. */
export interface Wrapped<A extends unknown[], V, R = boolean> {
  (...args: A): Promise<V>
  /** The key of a call with these arguments. */
  key(...args: A): string
  /** Removes the result for these arguments; says whether there was one. A load of it under way is not stored. */
  delete(...args: A): R
}

type Tags<A extends unknown[], V> = NonNullable<WrapOptions<A, V>['tags']>

const { signal: _signal, status: _status, forceRefresh: _forceRefresh, ...rest } = GET_OR_SET

function schemaOf<A extends unknown[], V>(): Schema<WrapOptions<A, V>> {
  const tags: Parse<Tags<A, V>> = (value, name) =>
    typeof value === 'function' ? (value as Tags<A, V>) : tagList(value, name)
  return { ...rest, tags, key: callable<(...args: A) => string>, context: flag }
}

/** @param remove Removes what is under a key, as the engine knows it. */
export function wrap<A extends unknown[], V, R = boolean>(
  core: CacheCore<V>,
  load: (...args: never[]) => V | Promise<V>,
  options: WrapOptions<A, V>,
  remove: (key: string) => R = (key) => core.delete(key) as R,
): Wrapped<A, V, R> {
  checkFunction(load, 'load')
  const {
    key: makeKey,
    tags,
    context: isGivenContext,
    ...more
  } = defineOptions<WrapOptions<A, V>>('wrap', schemaOf())(options)
  if (makeKey === undefined) throw wrongType(`key must be a function, not ${describe(makeKey)}`)
  const fixed = typeof tags === 'function' ? undefined : tags
  const settings: LoadSettings = settingsOf({ ...more, tags: fixed }, core.loading)
  const key = (...args: A): string => {
    const made = makeKey(...args)
    checkKey(made)
    return made
  }
  const call = load as (...args: unknown[]) => V | Promise<V>
  const run = (args: A, context: LoadContext<V>) => (isGivenContext ? call(...args, context) : call(...args))
  const request = (of: string, args: A) => ({
    ...settings,
    key: of,
    load:
      typeof tags === 'function'
        ? async (context: LoadContext<V>) => {
            const result = await run(args, context)
            context.tags = [...(context.tags ?? []), ...tagList(tags(result, ...args), 'tags')]
            return result
          }
        : (context: LoadContext<V>) => run(args, context),
  })
  const wrapped = (...args: A): Promise<V> => {
    let of: string
    let value: V | undefined
    try {
      of = core.keyOf(key(...args))
      value = core.get(of)
      if (value !== undefined && settings.refreshAhead > 0) {
        if (core.loader.refreshIfDue(request(of, args))) value = core.peek(of)
      }
    } catch (error) {
      return Promise.reject(error)
    }
    return value === undefined ? core.loader.load(request(of, args)) : Promise.resolve(value)
  }
  return Object.assign(wrapped, {
    key,
    delete(...args: A): R {
      return remove(core.keyOf(key(...args)))
    },
  })
}
