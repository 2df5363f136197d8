import type { HubError } from '../domain/errors.ts'
import type { Session } from '../gateway/sessions/session.ts'
import { encodeNotification, jsonBytes } from '../mcp/json-rpc.ts'
import { NOTIFICATION } from '../mcp/methods.ts'
import { hintsOf } from './shown.ts'

/** Tells a client that what a server had kept for it is gone, in the words that clients show: a log message. */
export function tellLost(session: Session, server: string, reason: HubError): void {
  const params = {
    level: 'warning',
    logger: 'flotilla',
    data: {
      server,
      message: `Server "${server}" was started anew: what it had kept for this session is lost. ${reason.message}`,
    },
  }
  session.stream.unrelated(encodeNotification(NOTIFICATION.message, jsonBytes(params)))
  for (const method of hintsOf(['tools', 'prompts', 'resources'])) session.stream.hint(method)
}
