import { HubError } from '../domain/errors.ts'

export interface OriginPolicy {
  /** Host names that the `Host` header may carry; undefined = any (the hub does not listen on loopback only). */
  readonly hosts: ReadonlySet<string> | undefined
  /** Further origins (`scheme://host[:port]`) from which browsers may call; `*` = any. */
  readonly origins: ReadonlySet<string>
}

export const LOOPBACK_NAMES: readonly string[] = ['localhost', '127.0.0.1', '[::1]']

/**
 * Refuses what DNS rebinding would send: a page of another site that reaches us under a name of its own (spec,
 * basic/transports, "Security Warning"). The port does not count: a forwarded port changes it.
 * @throws HubError `access.host` or `access.origin`
 */
export function checkOrigin(
  headers: { host: string | undefined; origin: string | undefined },
  policy: OriginPolicy,
): void {
  const host = hostName(headers.host)
  if (policy.hosts && (host === undefined || !policy.hosts.has(host)))
    throw new HubError(
      'access.host',
      `The hub is not known by the name ${JSON.stringify(headers.host ?? '')}.`,
      {
        cure: 'Use http://localhost, or add the name to ALLOWED_HOSTS (comma-separated) of the hub.',
      },
    )
  if (headers.origin === undefined || isAllowedOrigin(headers.origin, host, policy)) return
  throw new HubError('access.origin', `Pages of ${JSON.stringify(headers.origin)} may not call this hub.`, {
    cure: 'If they should, add the origin to ALLOWED_ORIGINS (comma-separated) of the hub.',
  })
}

function isAllowedOrigin(origin: string, host: string | undefined, policy: OriginPolicy): boolean {
  if (policy.origins.has('*') || policy.origins.has(origin)) return true
  for (const allowed of policy.origins) if (originOf(allowed) === origin) return true
  if (!URL.canParse(origin)) return false
  const { protocol, hostname } = new URL(origin)
  if (protocol !== 'http:' && protocol !== 'https:') return false
  return LOOPBACK_NAMES.includes(hostname)
    ? isLoopbackHost(host)
    : hostname === host && policy.hosts?.has(host) !== false
}

/** The origin as browsers send it, of what one copies from their address bar: without the slash at the end. */
function originOf(url: string): string {
  return /^https?:/i.test(url) && URL.canParse(url) ? new URL(url).origin : url
}

function isLoopbackHost(host: string | undefined): boolean {
  return host !== undefined && LOOPBACK_NAMES.includes(host)
}

/** The name in a Host header, without the port. */
function hostName(host: string | undefined): string | undefined {
  const match = /^(\[[0-9a-f:.]+\]|[^:/\s@]+)(?::\d{1,5})?$/i.exec(host ?? '')
  return match?.[1]?.toLowerCase()
}
