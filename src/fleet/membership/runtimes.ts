import type { ServerSpec } from '../../domain/server-spec.ts'

/** Programs that start servers, and of which a node tells whether it has them. */
export const KNOWN_RUNTIMES = [
  'npx',
  'uvx',
  'uv',
  'node',
  'python3',
  'docker',
  'deno',
  'bun',
  'npm',
  'pipx',
] as const

const known: ReadonlySet<string> = new Set(KNOWN_RUNTIMES)

/** Which of them a server needs; undefined for none, or a program of which nodes do not tell. */
export function runtimeOf({ transport }: Pick<ServerSpec, 'transport'>): string | undefined {
  if (transport.kind !== 'stdio') return undefined
  const base = transport.command.replace(/^.*[\\/]/, '').replace(/\.(exe|cmd)$/i, '')
  return known.has(base) ? base : undefined
}
