import type { IncomingMessage } from 'node:http'
import { HubError, messageOf } from '../../domain/errors.ts'
import { readRefusal } from './handshake.ts'

const WHY: Readonly<Record<string, readonly [what: string, cure: string]>> = {
  ECONNREFUSED: [
    'nothing listens there',
    'Check that the coordinator runs, that the port is right, and that it listens on an address other than loopback (HOST).',
  ],
  ENOTFOUND: ['its name is not known', 'Check the host name in the coordinator URL, and the DNS.'],
  EAI_AGAIN: ['its name cannot be looked up now', 'Check the host name in the coordinator URL, and the DNS.'],
  ETIMEDOUT: ['it does not answer', 'Check the address, and firewalls between the two nodes.'],
  EHOSTUNREACH: ['there is no way to it', 'Check the address, and the network between the two nodes.'],
  ENETUNREACH: ['there is no way to it', 'Check the address, and the network between the two nodes.'],
  ECONNRESET: [
    'it hung up at once',
    'If the coordinator, or a proxy before it, wants TLS, write https:// in the coordinator URL.',
  ],
  EPROTO: ['it does not speak TLS', 'If it has no TLS, write http:// in the coordinator URL.'],
  ERR_SSL_WRONG_VERSION_NUMBER: [
    'it does not speak TLS',
    'If it has no TLS, write http:// in the coordinator URL.',
  ],
  ERR_TLS_CERT_ALTNAME_INVALID: [
    'its certificate is for another name',
    'Use the name in the certificate in the coordinator URL, or have a certificate made for this name.',
  ],
  CERT_HAS_EXPIRED: [
    'its certificate has expired',
    'Renew the certificate of the coordinator (CLUSTER_TLS_CERT there), and check the clocks of both nodes.',
  ],
  CERT_NOT_YET_VALID: [
    'its certificate is not valid yet',
    'Check the clocks of both nodes, and the certificate of the coordinator.',
  ],
}

const UNTRUSTED = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  // Another authority of the same name has signed it.
  'CERT_SIGNATURE_FAILURE',
  'CERT_UNTRUSTED',
  'CERT_REJECTED',
  'INVALID_CA',
])

/** Why a connection could not be made, and what to do. */
export function socketFailure(address: URL, cause: unknown): HubError {
  const code = codeOf(cause)
  const [what, cure] = explain(code, messageOf(cause))
  return unreachable(address, `${what}.`, cure, cause)
}

function explain(code: string, message: string): readonly [what: string, cure: string] {
  const known = WHY[code]
  if (known) return known
  if (UNTRUSTED.has(code))
    return [
      'its certificate is not signed by an authority that this node trusts',
      'Set CLUSTER_TLS_CA ("tlsCa") on this node to the PEM file of the authority that has signed it.',
    ]
  if (code.startsWith('HPE_'))
    return ['what listens there does not speak HTTP', 'Check host and port in the coordinator URL.']
  if (/timed out/.test(message))
    return ['it does not answer', 'Check the address, and firewalls between the two nodes.']
  return [message, 'Check the coordinator URL and the log of the coordinator.']
}

function codeOf(cause: unknown): string {
  if (!(cause instanceof Error)) return ''
  // Where a name has several addresses, there is one error for each.
  const first: unknown = cause instanceof AggregateError ? cause.errors[0] : cause
  return first instanceof Error && 'code' in first ? String(first.code) : ''
}

/**
 * What an answer other than a link means.
 * @param said the beginning of its body
 */
export function httpFailure(address: URL, response: IncomingMessage, said: string): HubError {
  const refusal = readRefusal(said)
  if (refusal) return refusal
  const status = response.statusCode ?? 0
  if (status === 401 || status === 403)
    return new HubError('link.refused', `${nameOf(address)} refused the link (HTTP ${status}).`, {
      cure: 'The log of the coordinator says why; nodes need its CLUSTER_TOKEN or a certificate.',
    })
  if (status === 404 || status === 405 || status === 426)
    return unreachable(
      address,
      `it is no coordinator (HTTP ${status}).`,
      'Check the port, and that the other node runs with the role coordinator.',
    )
  if (status >= 300 && status < 400)
    return unreachable(
      address,
      `it redirects to another address (HTTP ${status}).`,
      'Give the address of the coordinator itself; write https:// if it wants TLS.',
    )
  if (status === 400)
    return unreachable(
      address,
      'it does not understand the request (HTTP 400).',
      'If the coordinator, or a proxy before it, wants TLS, write https:// in the coordinator URL.',
    )
  return unreachable(
    address,
    `it answered HTTP ${status}.`,
    'If a proxy stands before the coordinator, it must pass WebSocket upgrades on; else look at the coordinator.',
  )
}

function unreachable(address: URL, why: string, cure: string, cause?: unknown): HubError {
  return new HubError('link.lost', `No link to ${nameOf(address)}: ${why}`, { cure, cause })
}

/** Without user and password. */
function nameOf({ protocol, host }: URL): string {
  return `${protocol === 'wss:' ? 'https' : 'http'}://${host}`
}
