import { type OptionTable, readOptions, refused } from './options.ts'
import { isInterpreter, isNoServer, NO_MODULES } from './programs.ts'
import { checkScript, isFolder } from './scripts.ts'

/** A project of an index, with extras and versions (PEP 508): no URL, no path, no repository. */
const PYPI_PROJECT =
  /^([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)(?:\[[A-Za-z0-9._, -]*\])?(?:(?:@|[=<>!~]=?=?)[A-Za-z0-9.*+!,<>=~ -]+)?$/

export function isPypiProject(text: string): boolean {
  const name = PYPI_PROJECT.exec(text)?.[1]
  return name !== undefined && !isNoServer(name) && !isInterpreter(name)
}

const PYTHON: OptionTable = {
  ...Object.fromEntries([...'uBEIsSOqbvP'].map((letter) => [`-${letter}`, 'flag' as const])),
  '-m': isModule,
  '-X': (value) => ['utf8', 'utf8=1', 'utf8=0', 'dev'].includes(value),
  '-W': (value) => ['ignore', 'default', 'error', 'always', 'once', 'module'].includes(value),
}

/** `python [options] script …` or `python [options] -m module …` */
export function checkPython(args: readonly string[]): void {
  const { options, rest } = readOptions('python', args, PYTHON, '-m')
  if (!options.some(({ name }) => name === '-m')) checkScript('python', rest[0])
}

function isModule(value: string): boolean {
  const [first = ''] = value.split('.')
  return /^[A-Za-z_][A-Za-z0-9_.]*$/.test(value) && !NO_MODULES.has(first) && !isNoServer(first)
}

const SHARED: OptionTable = {
  '-q': 'flag',
  '--quiet': 'flag',
  '--offline': 'flag',
  '--no-cache': 'flag',
  '--refresh': 'flag',
  '--isolated': 'flag',
  '--no-progress': 'flag',
  '--with': isPypiProject,
  '-p': isPythonVersion,
  '--python': isPythonVersion,
}

const UVX: OptionTable = { ...SHARED, '--from': isPypiProject }

/** `uvx [options] project …`; also `uv tool run`. */
export function checkUvx(args: readonly string[]): void {
  const { options, rest } = readOptions('uvx', args, UVX)
  const [target] = rest
  const cure = 'Write it as "uvx <project>@<version>".'
  if (target === undefined) throw refused('uvx needs a project to run.', cure)
  const from = options.some(({ name }) => name === '--from')
  // With a project named, what follows may be any program that is found.
  const isProgram = /^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(target) && isPypiProject(target)
  if (from ? !isProgram : !isPypiProject(target))
    throw refused(
      `uvx may not run ${JSON.stringify(target.slice(0, 100))}: it is no project of an index that is a server.`,
      cure,
    )
}

const UV: OptionTable = {
  '-q': 'flag',
  '--quiet': 'flag',
  '--offline': 'flag',
  '--no-cache': 'flag',
  '--no-progress': 'flag',
  '--directory': isFolder,
  '--project': isFolder,
}

const UV_RUN: OptionTable = {
  ...UV,
  ...SHARED,
  '--no-project': 'flag',
  '--no-sync': 'flag',
  '--no-dev': 'flag',
  '--frozen': 'flag',
  '--locked': 'flag',
}

/** `uv [options] run [options] script|program …`, or `uv tool run …`. */
export function checkUv(args: readonly string[]): void {
  const { rest } = readOptions('uv', args, UV)
  const [command, ...others] = rest
  if (command === 'tool' && others[0] === 'run') return checkUvx(others.slice(1))
  if (command !== 'run')
    throw refused(`uv may be used with "run" and "tool run" only, not with ${JSON.stringify(command ?? '')}.`)
  const [target = '', ...own] = readOptions('uv run', others, UV_RUN).rest
  if (/\.pyw?$/i.test(target)) return checkScript('uv run', target)
  if (/^python(3(\.\d{1,2})?)?$/.test(target)) return checkPython(own)
  if (/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(target) && !isNoServer(target) && !isInterpreter(target)) return
  throw refused(
    `uv may not run ${JSON.stringify(target.slice(0, 100))}: it is no server.`,
    'Name its script.',
  )
}

function isPythonVersion(value: string): boolean {
  return /^(python|cpython@?)?3(\.\d{1,2}){0,2}t?$/.test(value)
}
