import { createHash } from 'node:crypto'
import type { ServerSpec } from '../../domain/server-spec.ts'

/**
 * Names what matters to a server's process in its settings, in 16 characters: two specs with the same name may go on with the same
 * process. The order of variables and headers does not count; descriptions, overrides and replication do not concern the process.
 */
export function specHash(
  spec: Pick<ServerSpec, 'transport' | 'isolation' | 'startOnDemand' | 'idleTimeoutMs'>,
): string {
  const { transport, isolation, startOnDemand, idleTimeoutMs } = spec
  const reached =
    transport.kind === 'stdio'
      ? [transport.command, transport.args, sorted(transport.env), transport.cwd ?? null]
      : [transport.url, sorted(transport.headers)]
  const essence = JSON.stringify([transport.kind, reached, isolation, startOnDemand, idleTimeoutMs])
  return createHash('sha256').update(essence).digest('base64url').slice(0, 16)
}

function sorted(record: Readonly<Record<string, string>>): [string, string][] {
  return Object.entries(record).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
}
