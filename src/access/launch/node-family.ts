import { type Option, type OptionTable, readOptions, refused } from './options.ts'
import { isInterpreter, isNoServer } from './programs.ts'
import { checkScript } from './scripts.ts'

/** `[@scope/]name[@version or tag]`, as a registry has it: no URL, no path, no repository. */
const NPM_PACKAGE = /^((?:@[a-z0-9][a-z0-9._-]*\/)?[a-z0-9][a-z0-9._-]*)(?:@[A-Za-z0-9.^~<>=*+|-]+)?$/i

/** Packages with a scope that run what their arguments say. */
const NO_SERVERS_IN_SCOPES = new Set([
  '@babel/node',
  '@swc-node/cli',
  '@dotenvx/dotenvx',
  '@antfu/ni',
  '@yarnpkg/cli',
])

export function isNpmPackage(text: string): boolean {
  const name = NPM_PACKAGE.exec(text)?.[1]?.toLowerCase()
  if (name === undefined) return false
  if (name.startsWith('@')) return !NO_SERVERS_IN_SCOPES.has(name)
  // npm takes the first three for the value of a switch that stands before them.
  return !['true', 'false', 'null'].includes(name) && !isNoServer(name) && !isInterpreter(name)
}

const NODE: OptionTable = {
  '--no-warnings': 'flag',
  '--no-deprecation': 'flag',
  '--trace-warnings': 'flag',
  '--trace-uncaught': 'flag',
  '--enable-source-maps': 'flag',
  '--experimental-strip-types': 'flag',
  '--max-old-space-size': isNumber,
  '--max-semi-space-size': isNumber,
}

/** `node [options] script …`: the options that run code, load modules or open a debugger are not among those allowed. */
export function checkNode(args: readonly string[]): void {
  const { rest } = readOptions('node', args, NODE)
  const [script] = rest
  if (script === 'inspect' || script === 'debug') throw refused('node may not be started in a debugger.')
  checkScript('node', script)
}

const NPX: OptionTable = {
  '-y': 'flag',
  '--yes': 'flag',
  '-q': 'flag',
  '--quiet': 'flag',
  '--no-install': 'flag',
  '--offline': 'flag',
  '--prefer-offline': 'flag',
  '--prefer-online': 'flag',
  '-p': isNpmPackage,
  '--package': isNpmPackage,
}

const BUNX: OptionTable = {
  '-y': 'flag',
  '--yes': 'flag',
  '--bun': 'flag',
  '--silent': 'flag',
  '--no-install': 'flag',
  '-p': isNpmPackage,
  '--package': isNpmPackage,
}

export function checkNpx(args: readonly string[]): void {
  checkPackageRunner('npx', args, NPX)
}

export function checkBunx(args: readonly string[]): void {
  checkPackageRunner('bunx', args, BUNX)
}

function checkPackageRunner(launcher: string, args: readonly string[], table: OptionTable): void {
  const { options, rest } = readOptions(launcher, args, table)
  const [target] = rest
  const cure = `Write it as "${launcher} -y <package>@<version>".`
  if (target === undefined) throw refused(`${launcher} needs a package to run.`, cure)
  const name = JSON.stringify(target.slice(0, 100))
  if (options.some(isPackage)) {
    // With a package named, what follows may be any program that is found.
    if (/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(target) && isNpmPackage(target)) return
    throw refused(`${launcher} may not run ${name}: it is no program of a package.`, cure)
  }
  if (!isNpmPackage(target))
    throw refused(`${launcher} may not run ${name}: it is no package of a registry that is a server.`, cure)
}

function isPackage({ name }: Option): boolean {
  return name === '-p' || name === '--package'
}

const GRANTS = ['net', 'env', 'read', 'write', 'sys', 'ffi', 'import', 'run', 'all', 'hrtime']

const DENO: OptionTable = {
  ...Object.fromEntries(['-A', '-R', '-W', '-N', '-E', '-S', '-q'].map((name) => [name, 'flag' as const])),
  '--quiet': 'flag',
  '--no-prompt': 'flag',
  '--no-check': 'flag',
  '--no-lock': 'flag',
  '--no-remote': 'flag',
  '--cached-only': 'flag',
  '--node-modules-dir': 'flag',
}

/** `deno run [options] script|npm:…|jsr:… …` */
export function checkDeno(args: readonly string[]): void {
  const [command, ...others] = args
  if (command !== 'run')
    throw refused(`deno may be used with "run" only, not with ${JSON.stringify(command ?? '')}.`)
  // Their value, if there is one, always stands behind "=".
  const { rest } = readOptions('deno run', others.map(withoutGrant), DENO)
  const [target = ''] = rest
  const [, from, text = ''] = /^(npm|jsr):\/?(.*)$/.exec(target) ?? []
  if (from === undefined) return checkScript('deno', target)
  // A package may have several programs; one is named behind a slash.
  const [, name = '', program] = /^((?:@[^/@]+\/)?[^/]+)(?:\/(.*))?$/.exec(text) ?? []
  if (isNpmPackage(name) && /^[\w.-]*$/.test(program ?? '') && program !== '..') return
  throw refused(
    `deno may not run ${JSON.stringify(target.slice(0, 100))}: it is no package of a registry that is a server.`,
  )
}

/** `--allow-net=host` is read as `--quiet`: which permissions a server asks for is for those to say who add it. */
function withoutGrant(arg: string): string {
  const [, grant = ''] = /^--(?:allow|deny)-([a-z]+)(?:=.*)?$/s.exec(arg) ?? []
  return GRANTS.includes(grant) ? '--quiet' : arg
}

function isNumber(value: string): boolean {
  return /^\d{1,7}$/.test(value)
}
