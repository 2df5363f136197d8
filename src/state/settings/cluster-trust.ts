import type { ClusterSettings } from '../../domain/cluster-settings.ts'
import { HubError } from '../../domain/errors.ts'
import { isLoopback } from '../../domain/loopback.ts'

/**
 * Sees to it that nobody opens a cluster to a network without a token.
 * @param host the address that the node listens on
 * @param coordinators of a worker: the URLs that it dials
 * @returns a warning for a cluster without a token, which stays on this machine
 * @throws HubError `settings.invalid`
 */
export function requireTrust({
  settings,
  host,
  coordinators = settings.coordinators,
}: {
  readonly settings: ClusterSettings
  readonly host: string
  readonly coordinators?: readonly string[]
}): string | undefined {
  const { role, token } = settings
  if (role === 'standalone' || token !== undefined || provesByCertificate(settings, coordinators))
    return undefined
  const places = role === 'coordinator' ? [host] : coordinators.map((url) => new URL(url).hostname)
  const open = places.find((place) => !isHere(place))
  if (open === undefined)
    return 'The cluster has no token: any program on this machine can join it. Set CLUSTER_TOKEN to the same random value on all nodes.'
  throw new HubError(
    'settings.invalid',
    role === 'coordinator'
      ? `Listening on ${open} without a token of the cluster would let every machine of the network join it.`
      : `The coordinator at ${open} would be trusted without a token of the cluster: whoever answers there could start programs here.`,
    {
      cure: 'Set CLUSTER_TOKEN (or CLUSTER_TOKEN_FILE, or "security.token") to the same random value on all nodes, such as "openssl rand -base64 32" prints; without one all nodes must be on loopback addresses.',
    },
  )
}

/** Whether links are made only between nodes that have shown each other certificates: then none needs a token. */
function provesByCertificate({ role, tls }: ClusterSettings, coordinators: readonly string[]): boolean {
  if (role === 'coordinator') return tls?.mutual === true && tls.certFile !== undefined
  return tls?.certFile !== undefined && coordinators.every((url) => url.startsWith('https:'))
}

/** As people write it, and as a URL has it: IPv6 in brackets. */
function isHere(host: string): boolean {
  return isLoopback(host.toLowerCase().replace(/^\[(.*)\]$/, '$1'))
}
