import type { IncomingHttpHeaders } from 'node:http'
import { HubError } from '../domain/errors.ts'

/** A browser takes the `__Host-` name only with Secure and for this very host (RFC 6265bis §4.1.3.2). */
const NAMES = { secure: '__Host-flotilla', plain: 'flotilla' } as const

/** The parts of a request that tell who sends it. */
export interface Credentials {
  readonly method: string
  readonly headers: IncomingHttpHeaders
  readonly cookies: Readonly<Record<string, string | undefined>>
  readonly ip: string | undefined
}

/** The value of `Set-Cookie` for a login; with an empty value the one that ends it. */
export function loginCookie(
  value: string,
  { secure, maxAgeMs }: { secure: boolean; maxAgeMs: number },
): string {
  const name = secure ? NAMES.secure : NAMES.plain
  const age = Math.floor(maxAgeMs / 1000)
  return `${name}=${value}; Path=/; Max-Age=${age}; HttpOnly; SameSite=Lax${secure ? '; Secure' : ''}`
}

/** Over https only the name that nobody else can set counts. */
export function readLoginCookie(cookies: Credentials['cookies'], secure: boolean): string | undefined {
  return cookies[secure ? NAMES.secure : NAMES.plain] || undefined
}

const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS'])

/**
 * A browser sends the cookie along with whatever any page makes it send. So what changes something must come from a page of
 * the hub itself, and say so: by `Sec-Fetch-Site: same-origin` (Fetch Metadata), or, where a browser does not send that
 * (plain http), by an `Origin` that is the hub's own. Neither header can be set by a page, and a request without both is
 * refused. No token is needed beside that. SameSite=Lax alone would not do: it takes other ports of one host for the same site.
 * @param ownOrigins further origins under which people reach the hub, as proxies in front of it change the Host
 * @throws HubError `access.csrf`
 */
export function checkSameOrigin({ method, headers }: Credentials, ownOrigins: ReadonlySet<string>): void {
  if (SAFE_METHODS.has(method.toUpperCase())) return
  const site = headers['sec-fetch-site']
  if (site === undefined ? isOwn(headers, ownOrigins) : site === 'same-origin') return
  throw new HubError('access.csrf', 'This request does not come from a page of the hub.', {
    cure: 'Scripts send the login token in the x-auth-token header, or a key, and no cookie.',
  })
}

function isOwn({ origin, host }: IncomingHttpHeaders, ownOrigins: ReadonlySet<string>): boolean {
  if (origin === undefined) return false
  if (ownOrigins.has(origin)) return true
  if (!URL.canParse(origin) || host === undefined) return false
  const { protocol, host: from } = new URL(origin)
  return (protocol === 'http:' || protocol === 'https:') && from === withoutDefaultPort(host, protocol)
}

/** As the URL standard writes it, which leaves out the port that goes without saying. */
function withoutDefaultPort(host: string, protocol: string): string | undefined {
  const url = `${protocol}//${host}`
  return URL.canParse(url) ? new URL(url).host : undefined
}
