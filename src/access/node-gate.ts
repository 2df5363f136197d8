import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { HubError } from '../domain/errors.ts'
import { isLoopbackAddress } from '../domain/loopback.ts'

/** The parts of a request that tell whether a node sends it. */
export interface NodeCredentials {
  readonly headers: IncomingHttpHeaders
  /** Where it comes from. */
  readonly ip: string | undefined
}

/**
 * Tells nodes of the cluster from everybody else: by the cluster token (`X-Cluster-Token`, or `Authorization: Bearer`). Without a token
 * only programs of this very machine are nodes.
 */
export class NodeGate {
  readonly #digest: Buffer | undefined

  constructor(token: string | undefined) {
    this.#digest = token === undefined || token === '' ? undefined : digestOf(token)
  }

  /** @throws HubError `access.unauthenticated` for an `X-Cluster-Token` that is wrong */
  admits({ headers, ip }: NodeCredentials): boolean {
    // No node is a browser: a page that rebinds a name to this machine would come from loopback too.
    if (headers.origin !== undefined || headers['sec-fetch-site'] !== undefined) return false
    if (!this.#digest) return isLoopbackAddress(ip) && !cameThroughProxy(headers)
    const named = single(headers['x-cluster-token'])
    const token = named ?? bearerOf(headers.authorization)
    if (token !== undefined && timingSafeEqual(digestOf(token), this.#digest)) return true
    if (named === undefined) return false
    throw new HubError('access.unauthenticated', 'This is not the token of this cluster.', {
      cure: 'Give every node the same CLUSTER_TOKEN.',
    })
  }
}

/** Of one length whatever the token's, so that comparing tells nothing of it. */
function digestOf(token: string): Buffer {
  return createHash('sha256').update(token).digest()
}

function single(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value
}

function bearerOf(authorization: string | undefined): string | undefined {
  return /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1]
}

/** A proxy on this machine makes everybody come from loopback. */
function cameThroughProxy(headers: IncomingHttpHeaders): boolean {
  return PROXY_HEADERS.some((name) => headers[name] !== undefined)
}

const PROXY_HEADERS = ['forwarded', 'x-forwarded-for', 'x-real-ip', 'via'] as const
