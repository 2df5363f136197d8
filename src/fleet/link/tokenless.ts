import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { HubError } from '../../domain/errors.ts'
import { isLoopbackAddress } from '../../domain/loopback.ts'

/** What a proxy adds that stands before this node: then the socket's other end says nothing of who is asking. */
const FORWARDED = ['forwarded', 'via', 'x-forwarded-for', 'x-forwarded-host', 'x-real-ip']

/**
 * Why a link on `socket` needs a token; undefined = it does not: both ends are on this machine, or each has shown the other a
 * certificate.
 * @param request of an acceptor: what asks for the link
 */
export function whyTokenNeeded(
  socket: Socket,
  mutualTls: boolean,
  request?: IncomingMessage,
): HubError | undefined {
  if (mutualTls && socket instanceof TLSSocket && socket.authorized) return undefined
  const local = isLoopbackAddress(socket.remoteAddress) && isLoopbackAddress(socket.localAddress)
  if (local && !(request && isForwarded(request))) return undefined
  return new HubError('link.refused', 'Without a cluster token nodes link only within one machine.', {
    cure: 'Set the same CLUSTER_TOKEN on all nodes.',
  })
}

/** Also where a name other than loopback was asked for: a page could have been made to resolve to this machine. */
function isForwarded({ headers }: IncomingMessage): boolean {
  const host = /^(?:\[([^\]]*)\]|([^:]*))(?::\d+)?$/.exec(headers.host ?? '')
  const name = host?.[1] ?? host?.[2]
  return (name !== 'localhost' && !isLoopbackAddress(name)) || FORWARDED.some((header) => header in headers)
}
