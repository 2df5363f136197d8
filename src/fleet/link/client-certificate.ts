import type { Duplex } from 'node:stream'
import { TLSSocket } from 'node:tls'
import { HubError } from '../../domain/errors.ts'

/** Why a node may not link by the certificate that it has shown on `socket`; undefined = it may. */
export function whyCertificateRefused(socket: Duplex): HubError | undefined {
  const tls = socket instanceof TLSSocket ? socket : undefined
  if (tls?.authorized) return undefined
  const isShown = tls !== undefined && Object.keys(tls.getPeerCertificate()).length > 0
  if (!isShown)
    return new HubError('link.refused', 'This coordinator wants a certificate of each node, and saw none.', {
      cure: 'Set CLUSTER_TLS_CERT and CLUSTER_TLS_KEY ("tlsCert", "tlsKey") on the node that connects, and write https:// in its URL of the coordinator.',
    })
  // Node gives the code of OpenSSL as a text, though its type is Error.
  if (String(tls.authorizationError) === 'CERT_HAS_EXPIRED')
    return new HubError('link.refused', 'The certificate of the node that connects has expired.', {
      cure: 'Renew it (CLUSTER_TLS_CERT on that node), and check the clocks of both nodes.',
    })
  return new HubError(
    'link.refused',
    `The certificate of the node that connects is not trusted here (${String(tls.authorizationError)}).`,
    {
      cure: 'Have it signed by the authority that CLUSTER_TLS_CA of the coordinator names, or name the authority that has signed it there.',
    },
  )
}
