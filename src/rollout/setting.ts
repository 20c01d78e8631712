import { describe, outOfRange } from '../common/errors.js'
import { choice, defineOptions, name, type Parse } from '../common/options.js'
import { checkNumber, checkText } from '../common/validate.js'

/**
 * Who answers. `off`: the evaluation, as if there were no cache. `shadow`: the evaluation, and what the cache would have
 * said is compared with it. `on`: the cache, for a part of the users; the others are in `shadow`.
 */
export type RolloutMode = 'off' | 'shadow' | 'on'

/** What a rollout is set to. */
export interface RolloutSetting {
  readonly mode: RolloutMode
  /** Of a hundred users those that are served from the cache in the mode `on`. */
  readonly percentage: number
}

/** A change of what a rollout is set to; what is left out stays. */
export interface RolloutChange {
  mode?: RolloutMode | undefined
  /** From 0 to 100, fractions included. */
  percentage?: number | undefined
}

/** What a rollout is opened with. */
export interface RolloutOptions extends RolloutChange {
  /** By what all threads know the rollout, and the environment: `SARK_CACHE_ROLLOUT_` and the name in capitals. */
  name: string
  /**
   * A file that is looked at four times a second while there are calls: `{ "mode": "on", "percentage": 10 }`. Beside it,
   * a file of this name with `.kill` behind it is the kill switch, whatever is in it. Default: none.
   */
  file?: string | undefined
  /** The key of the digests in events; whoever has it can find out names by trying them. Default: the name. */
  digestKey?: string | undefined
}

const mode = choice<RolloutMode>('off', 'shadow', 'on')

const percentage: Parse<number> = (value, name) => {
  checkNumber(value, name, 'a number from 0 to 100')
  if (!(value >= 0 && value <= 100)) throw outOfRange(`${name} must be from 0 to 100, not ${value}`)
  return value
}

const path: Parse<string> = (value, name) => {
  checkText(value, name)
  if (value.includes('\0')) throw outOfRange(`${name} must be a path, and has a NUL`)
  return value
}

const parseOptions = defineOptions<RolloutOptions>('rollout', {
  name,
  mode,
  percentage,
  file: path,
  digestKey: name,
})

export function parseRollout(options: unknown): RolloutOptions {
  const parsed = parseOptions(options)
  checkText(parsed.name, 'name')
  return parsed
}

export const parseChange = defineOptions<RolloutChange>('set', { mode, percentage })

const parseFile = defineOptions<RolloutChange>('the file of a rollout', { mode, percentage })

/** What a file says; all users, if it does not say how many. @throws For what is no JSON, or says something else. */
export function parseText(text: string): RolloutSetting {
  const { mode = undefined, percentage = 100 } = parseFile(JSON.parse(text))
  if (mode === undefined) throw outOfRange('the file of a rollout must have a mode')
  return { mode, percentage }
}

/** The variable of the environment that has a say in the rollout of a name. */
export function variableOf(name: string): string {
  return `SARK_CACHE_ROLLOUT_${name.toUpperCase().replaceAll(/[^A-Z0-9]/g, '_')}`
}

/** What the environment says: a mode, `on:25` for a part of the users, or `kill`. */
export function parseVariable(name: string): RolloutSetting | 'kill' | undefined {
  const variable = variableOf(name)
  const value = process.env[variable]
  if (value === undefined || value === '') return undefined
  if (value === 'kill') return 'kill'
  const [, mode, part] = /^(off|shadow|on)(?::(\d{1,3}(?:\.\d{1,6})?))?$/.exec(value) ?? []
  if (mode === undefined || (part !== undefined && mode !== 'on')) {
    throw outOfRange(`${variable} must be off, shadow, on, on:25 or kill, not ${describe(value)}`)
  }
  return {
    mode: mode as RolloutMode,
    percentage: percentage(part === undefined ? 100 : Number(part), variable),
  }
}
