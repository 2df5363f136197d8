import type { Server } from 'node:http'
import { LOOPBACK_NAMES, type OriginPolicy } from '../access/origin.ts'
import { HubError } from '../domain/errors.ts'
import { isLoopback } from '../domain/loopback.ts'

export interface Address {
  readonly host: string
  readonly port: number
}

/** @throws HubError for an address that cannot be listened on */
export function listen(server: Server, { host, port }: Address): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const why = cause.code === 'EADDRINUSE' ? 'another program listens there' : cause.message
      reject(
        new HubError('internal', `The hub cannot listen on ${host}:${port}: ${why}.`, {
          cause,
          cure: 'Choose another port with PORT or --port.',
        }),
      )
    })
    server.listen(port, host, () => resolve())
  })
}

export interface Reach {
  readonly host: string
  readonly allowedHosts: readonly string[]
  readonly allowedOrigins: readonly string[]
  /** Where people reach the hub, if that is not its own address: `FRONTEND_BASE_URL`. */
  readonly publicUrl?: URL | undefined
}

/** Under which names the hub may be called, and from which pages. */
export function originPolicy({ host, allowedHosts, allowedOrigins, publicUrl }: Reach): OriginPolicy {
  const named = allowedHosts.map((name) => name.toLowerCase())
  const known = isLoopback(host) || named.length > 0
  return {
    hosts: known
      ? new Set([...LOOPBACK_NAMES, hostHeaderOf(host), ...named, ...own(publicUrl?.hostname)])
      : undefined,
    origins: new Set([...allowedOrigins, ...own(publicUrl?.origin)]),
  }
}

function own(name: string | undefined): string[] {
  return name === undefined ? [] : [name]
}

/** An address as it stands in a Host header: IPv6 in brackets (RFC 3986 §3.2.2). */
function hostHeaderOf(host: string): string {
  return (host.includes(':') && !host.startsWith('[') ? `[${host}]` : host).toLowerCase()
}
