import { createServer, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { ClusterSettings } from '../domain/cluster-settings.ts'
import type { Clock } from '../kernel/clock.ts'
import type { Logger } from '../kernel/logger.ts'
import { readTlsFiles, tlsWarning } from './cluster/tls.ts'

/** Who says nothing for this long is no client. */
const HANDSHAKE_MS = 10_000

/** Whether the hub's port speaks TLS. */
export function speaksTls({ role, tls }: ClusterSettings): boolean {
  return role === 'coordinator' && tls?.certFile !== undefined
}

/**
 * The hub's server. A coordinator with a certificate serves clients and workers over TLS, on the same port.
 * @throws HubError `settings.invalid` for certificates that cannot be used
 */
export async function httpServer(
  cluster: ClusterSettings,
  { clock, log }: { readonly clock: Clock; readonly log: Logger },
): Promise<Server> {
  const files = speaksTls(cluster) ? await readTlsFiles(cluster.tls) : undefined
  if (!files) return createServer()
  const warning = tlsWarning(files, clock.now())
  if (warning !== undefined) log.warn({}, warning)
  const { cert, key, ca } = files
  return createTlsServer({
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(ca === undefined ? {} : { ca }),
    handshakeTimeout: HANDSHAKE_MS,
    // Clients have none; whether a worker must show one is decided where it links.
    requestCert: cluster.tls?.mutual ?? false,
    rejectUnauthorized: false,
  })
}
