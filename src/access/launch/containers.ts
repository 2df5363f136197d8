import { isDangerousVariable } from './environment.ts'
import { type OptionTable, readOptions, refused } from './options.ts'

/** `[host[:port]/]path[:tag][@digest]`; no archives and no folders, which Podman takes too. */
const IMAGE =
  /^(?:[A-Za-z0-9][A-Za-z0-9.-]*(?::\d{1,5})?\/)?[a-z0-9][a-z0-9._-]*(?:\/[a-z0-9][a-z0-9._-]*)*(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@sha256:[0-9a-f]{64})?$/

const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]*$/

/** What a container may be given: nothing of the machine beyond its own files, network and share of it. */
function runOptions(mountRoots: readonly string[]): OptionTable {
  const env = (value: string) => {
    const [name = ''] = value.split('=')
    return /^[A-Za-z_][A-Za-z0-9_]*$/.test(name) && !isDangerousVariable(name)
  }
  const network = (value: string) =>
    NAME.test(value) &&
    !['host', 'container', 'ns', 'private', 'slirp4netns', 'pasta'].includes(value.toLowerCase())
  const named = (value: string) => NAME.test(value)
  const size = (value: string) => /^\d{1,9}(\.\d{1,3})?[bkmg]?$/i.test(value)
  const volume = (value: string) => isVolume(value, mountRoots)
  return {
    '-i': 'flag',
    '--interactive': 'flag',
    '-t': 'flag',
    '--tty': 'flag',
    '--rm': 'flag',
    '--init': 'flag',
    '-q': 'flag',
    '--quiet': 'flag',
    '--read-only': 'flag',
    '-e': env,
    '--env': env,
    '--name': named,
    '-h': named,
    '--hostname': named,
    '--network': network,
    '--net': network,
    '-v': volume,
    '--volume': volume,
    '--mount': (value) => isMount(value, mountRoots),
    '--tmpfs': (value) => isInside(value.split(':')[0] ?? ''),
    '-w': isInside,
    '--workdir': isInside,
    '-u': (value) => /^[A-Za-z0-9_-]+(:[A-Za-z0-9_-]+)?$/.test(value),
    '--user': (value) => /^[A-Za-z0-9_-]+(:[A-Za-z0-9_-]+)?$/.test(value),
    '-m': size,
    '--memory': size,
    '--cpus': size,
    '--pids-limit': size,
    '--shm-size': size,
    '--stop-timeout': size,
    '--platform': (value) => /^[a-z0-9/]+$/.test(value),
    '--pull': (value) => ['always', 'missing', 'never'].includes(value),
    '-l': (value) => /^[\w.-]+(=[^\n]*)?$/.test(value),
    '--label': (value) => /^[\w.-]+(=[^\n]*)?$/.test(value),
    '--cap-drop': (value) => /^[A-Za-z_]+$/.test(value),
    '--security-opt': (value) => /^no-new-privileges([:=]true)?$/.test(value),
  }
}

/** `docker run [options] image …`: what follows the image runs in the container. */
export function checkContainer(
  launcher: string,
  args: readonly string[],
  mountRoots: readonly string[],
): void {
  const [command, ...others] = args
  if (command !== 'run')
    throw refused(`${launcher} may be used with "run" only, not with ${JSON.stringify(command ?? '')}.`)
  const [image = ''] = readOptions(`${launcher} run`, others, runOptions(mountRoots)).rest
  if (!IMAGE.test(image))
    throw refused(
      `${launcher} may not run ${JSON.stringify(image.slice(0, 100))}: it is no image of a registry.`,
    )
}

/** A volume with a name, or a folder under one of the roots. */
function isVolume(value: string, roots: readonly string[]): boolean {
  const [source = '', target = '', mode = 'rw', ...more] = value.split(':')
  if (more.length > 0 || !isInside(target) || !/^(rw|ro|z|Z)(,(rw|ro|z|Z))*$/.test(mode)) return false
  return NAME.test(source) || isUnder(source, roots)
}

function isMount(value: string, roots: readonly string[]): boolean {
  const parts = new Map<string, string>()
  for (const part of value.split(',')) {
    const [key = '', text = ''] = part.split(/=(.*)/s)
    if (!['type', 'src', 'source', 'dst', 'target', 'destination', 'readonly', 'ro'].includes(key))
      return false
    if (parts.has(key)) return false
    parts.set(key, text)
  }
  const source = parts.get('src') ?? parts.get('source') ?? ''
  if (parts.has('src') && parts.has('source')) return false
  switch (parts.get('type') ?? 'volume') {
    case 'volume':
      return NAME.test(source)
    case 'tmpfs':
      return source === ''
    case 'bind':
      return isUnder(source, roots)
    default:
      return false
  }
}

function isUnder(path: string, roots: readonly string[]): boolean {
  const clean = path.startsWith('/') && !path.split('/').includes('..')
  return clean && roots.some((root) => path === root || path.startsWith(`${root.replace(/\/+$/, '')}/`))
}

/** A path in the container. */
function isInside(path: string): boolean {
  return path.startsWith('/') && !path.split('/').includes('..')
}
