import type { RequestLimits } from '../../domain/principal.ts'
import type { Reply } from '../sessions/session.ts'

/**
 * Lets a request in under the limits of its key, until it is answered or given up.
 * @throws HubError `access.rate-limited`
 */
export function admit(reply: Reply, limits: RequestLimits): Reply {
  limits.enter()
  let inside = true
  const leave = () => {
    if (inside) limits.leave()
    inside = false
  }
  return {
    message: (bytes) => reply.message(bytes),
    answer(bytes) {
      leave()
      reply.answer(bytes)
    },
    abandon() {
      leave()
      reply.abandon()
    },
    get reachable() {
      return reply.reachable
    },
  }
}
