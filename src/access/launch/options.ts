import { HubError } from '../../domain/errors.ts'

/** What an option may carry: nothing (`flag`), or a value that passes. */
export type OptionRule = 'flag' | ((value: string) => boolean)

/** The options that may be used, as they are written: `-y`, `--yes`. All others are refused. */
export type OptionTable = Readonly<Record<string, OptionRule>>

export interface Option {
  readonly name: string
  readonly value: string | undefined
}

export interface Arguments {
  readonly options: readonly Option[]
  /** What comes after the options, without a `--` between. */
  readonly rest: readonly string[]
}

/**
 * Takes the options from the front of a command line. Only what stands in the table passes, letter by letter also where short
 * ones are written together, so that no abbreviation and no other way of writing gets around it.
 * @param last the option after which everything belongs to the program, however it looks
 * @throws HubError `server.launch-denied`
 */
export function readOptions(
  launcher: string,
  args: readonly string[],
  table: OptionTable,
  last?: string,
): Arguments {
  const options: Option[] = []
  let at = 0
  const next = (name: string): string => {
    at += 1
    const value = args[at]
    if (value === undefined) throw refused(`${launcher} ${name} lacks its value.`)
    return value
  }
  for (; at < args.length; at += 1) {
    const arg = args[at] ?? ''
    if (arg === '--') return { options, rest: args.slice(at + 1) }
    if (!arg.startsWith('-') || arg === '-') break
    if (arg.startsWith('--')) options.push(readLong(launcher, arg, table, next))
    else options.push(...readShort(launcher, arg, table, next))
    if (last !== undefined && options.at(-1)?.name === last) return { options, rest: args.slice(at + 1) }
  }
  return { options, rest: args.slice(at) }
}

function readLong(launcher: string, arg: string, table: OptionTable, next: (name: string) => string): Option {
  const equals = arg.indexOf('=')
  const name = equals === -1 ? arg : arg.slice(0, equals)
  const rule = ruleOf(table, name)
  if (rule === undefined) throw notAllowed(launcher, name)
  if (rule === 'flag') {
    if (equals !== -1) throw refused(`${launcher} ${name} takes no value.`)
    return { name, value: undefined }
  }
  return checked(launcher, name, equals === -1 ? next(name) : arg.slice(equals + 1), rule)
}

function readShort(
  launcher: string,
  arg: string,
  table: OptionTable,
  next: (name: string) => string,
): Option[] {
  // Some launchers have long options behind one dash.
  const whole = ruleOf(table, arg)
  if (whole === 'flag') return [{ name: arg, value: undefined }]
  const options: Option[] = []
  for (let at = 1; at < arg.length; at += 1) {
    const name = `-${arg[at]}`
    const rule = ruleOf(table, name)
    if (rule === undefined)
      throw notAllowed(launcher, arg.length > 2 ? `${name} (in ${arg.slice(0, 20)})` : name)
    if (rule !== 'flag') {
      const attached = arg.slice(at + 1)
      options.push(checked(launcher, name, attached === '' ? next(name) : attached, rule))
      break
    }
    options.push({ name, value: undefined })
  }
  return options
}

function checked(launcher: string, name: string, value: string, rule: (value: string) => boolean): Option {
  if (rule(value)) return { name, value }
  throw refused(`${launcher} ${name} may not be ${JSON.stringify(value.slice(0, 100))}.`)
}

function ruleOf(table: OptionTable, name: string): OptionRule | undefined {
  return Object.hasOwn(table, name) ? table[name] : undefined
}

function notAllowed(launcher: string, name: string): HubError {
  return refused(`${launcher} may not be started with ${name.slice(0, 60)}.`)
}

/** Every refusal tells the way that is open: the operator's own file is not subject to any of this. */
export function refused(what: string, cure = ''): HubError {
  return new HubError('server.launch-denied', what, {
    cure: `${cure}${cure === '' ? '' : ' '}Whoever runs the hub may write any server into its settings file.`,
  })
}
