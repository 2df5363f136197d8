import { isUserHolder } from '../domain/user-holder.ts'
import type { Holder } from '../fleet/worker/local-server.ts'
import { type Asks, refuse } from '../gateway/dispatch/asks.ts'
import type { Inbound } from '../gateway/dispatch/inbound.ts'
import { clientGone } from '../gateway/dispatch/questions.ts'
import type { Session } from '../gateway/sessions/session.ts'
import type { InboundHandler, Upstream } from '../upstream/upstream.ts'

interface Deps {
  readonly asks: Asks
  readonly inbound: Inbound
  session(id: string): Session | undefined
}

/** Takes what a server says unasked: on the shared upstream, or on that of a session or a user. */
export function inboundFor(
  server: string,
  holder: Holder | undefined,
  { asks, inbound, session }: Deps,
): InboundHandler {
  const user = holder && isUserHolder(holder.id) ? holder.id : undefined
  // A user's sessions share their upstream as everybody shares one that is nobody's.
  const own = user === undefined ? holder : undefined
  let current: Upstream | undefined
  return {
    opened: (upstream) => {
      current = upstream
    },
    request: (request, related) => {
      if (!current) return
      const question = { server, upstream: current, request }
      if (!own) return asks.fromShared(question, related)
      const owner = session(own.id)
      if (owner) asks.fromOwn(question, owner)
      else refuse(question, clientGone(server))
    },
    notification: (notification, related) => {
      if (!current) return
      const owner = own && session(own.id)
      // What a session's own server says after the session has ended concerns nobody.
      if (own && !owner) return
      inbound.notification(notification, { server, upstream: current, owner, user, related })
    },
  }
}
