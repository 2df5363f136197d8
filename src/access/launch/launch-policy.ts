import { messageOf } from '../../domain/errors.ts'
import { checkContainer } from './containers.ts'
import { isDangerousVariable, isHubSecret } from './environment.ts'
import { checkBunx, checkDeno, checkNode, checkNpx } from './node-family.ts'
import { refused } from './options.ts'
import { baseName } from './programs.ts'
import { checkPython, checkUv, checkUvx } from './python-family.ts'
import { isFolder } from './scripts.ts'

/** The command line of a stdio server that came over the API, with its variables expanded. */
export interface Launch {
  readonly command: string
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly cwd?: string | undefined
}

export interface LaunchPolicy {
  /** Of those that we know the rules of, the ones that may be used. */
  readonly launchers: ReadonlySet<string>
  /** Folders of this machine from which containers may be given something. */
  readonly mountRoots: readonly string[]
}

const RULES: Readonly<Record<string, (args: readonly string[], policy: LaunchPolicy) => void>> = {
  npx: checkNpx,
  bunx: checkBunx,
  node: checkNode,
  deno: checkDeno,
  uvx: checkUvx,
  uv: checkUv,
  python: checkPython,
  python3: checkPython,
  docker: (args, { mountRoots }) => checkContainer('docker', args, mountRoots),
  podman: (args, { mountRoots }) => checkContainer('podman', args, mountRoots),
}

export const DEFAULT_POLICY: LaunchPolicy = { launchers: new Set(Object.keys(RULES)), mountRoots: [] }

/** Where a launcher may lie that is named with its folder: nobody puts a file there who could not do worse. */
const FOLDERS = ['/bin/', '/usr/bin/', '/usr/local/bin/', '/opt/homebrew/bin/']
const MAX_ARGS = 200
const MAX_LENGTH = 8_192

/**
 * Whether a server that came over the API may be started like this. The policy keeps a stolen login from running a command in
 * one line; it is no sandbox: a package from a registry can do all that the hub's own user can. Servers in the settings file
 * are not subject to it.
 * @throws HubError `server.launch-denied`: why, and what to do
 */
export function checkLaunch(launch: Launch, policy: LaunchPolicy = DEFAULT_POLICY): void {
  const launcher = launcherOf(launch.command, policy)
  checkTexts(launch)
  for (const [name, value] of Object.entries(launch.env)) checkVariable(name, value)
  if (launch.cwd !== undefined && !isFolder(launch.cwd))
    throw refused('The working folder must be an absolute path without "..".')
  RULES[launcher]?.(launch.args, policy)
}

/**
 * Whether a configuration that came over the API, of whatever kind of server, reads what it must not: files of this machine,
 * or the hub's own secrets. To be asked before variables are expanded.
 * @throws HubError `server.launch-denied`
 */
export function checkReferences(config: unknown): void {
  if (typeof config === 'string') {
    // Each name by itself, also one that stands within another's default.
    for (const [, name = '', colon] of config.matchAll(/\$\{?\s*([A-Za-z_][A-Za-z0-9_]*)\s*(:(?!-))?/g)) {
      if (colon && name.toLowerCase() === 'file')
        throw refused('A server that comes over the API may not read files of this machine.')
      if (isHubSecret(name)) throw refused(`A server may not be given ${name}: it is the hub's own.`)
    }
    return
  }
  if (typeof config !== 'object' || config === null) return
  for (const [key, value] of Object.entries(config)) {
    checkReferences(key)
    checkReferences(value)
  }
}

/** As `checkLaunch`, for those who want to show the reason. */
export function whyNot(launch: Launch, policy: LaunchPolicy = DEFAULT_POLICY): string | undefined {
  try {
    checkLaunch(launch, policy)
    return undefined
  } catch (error) {
    return messageOf(error)
  }
}

function launcherOf(command: string, { launchers }: LaunchPolicy): string {
  const name = baseName(command)
  const placed = command === name || FOLDERS.some((folder) => command === `${folder}${name}`)
  // "python3.12" is a python3.
  const launcher = name.replace(/^(python3)\.\d{1,2}$/, '$1')
  if (placed && launchers.has(launcher) && Object.hasOwn(RULES, launcher)) return launcher
  throw refused(
    `A server that comes over the API may not be started with ${JSON.stringify(command.slice(0, 100))}.`,
    `Use one of ${[...launchers].sort().join(', ')}.`,
  )
}

function checkTexts({ args, env }: Launch): void {
  if (args.length > MAX_ARGS) throw refused(`A command line has at most ${MAX_ARGS} arguments.`)
  for (const arg of args) {
    if (arg.length > MAX_LENGTH) throw refused(`An argument has at most ${MAX_LENGTH} characters.`)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
    if (/[\u0000-\u0008\u000a-\u001f\u007f]/.test(arg))
      throw refused('An argument holds a control character or a line break.', 'Leave it out.')
  }
  if (Object.keys(env).length > MAX_ARGS) throw refused(`A server has at most ${MAX_ARGS} variables.`)
}

function checkVariable(name: string, value: string): void {
  const shown = JSON.stringify(name.slice(0, 60))
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
    throw refused(`${shown} is no name of a variable.`, 'Use letters, digits and "_".')
  if (isDangerousVariable(name))
    throw refused(`A server that comes over the API may not have the variable ${shown}.`, 'Leave it out.')
  if (value.includes('\0') || value.startsWith('() {') || value.length > 4 * MAX_LENGTH)
    throw refused(`The value of ${shown} is too long or none that a program should get.`)
}
