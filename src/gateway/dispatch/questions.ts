import { HubError } from '../../domain/errors.ts'
import { isObject, type RequestId, type RpcRequest } from '../../mcp/json-rpc.ts'
import { splice } from '../../mcp/json-text.ts'
import { METHOD } from '../../mcp/methods.ts'
import type { Upstream } from '../../upstream/upstream.ts'
import type { Session } from '../sessions/session.ts'
import { locate, progressTokenOf, TOKEN_PATH } from './reroute.ts'

/** A request of a server to a client, and where it came from. */
export interface Question {
  readonly server: string
  readonly upstream: Upstream
  readonly request: RpcRequest
}

export function questionToken({ request }: Question): RequestId | undefined {
  return progressTokenOf(request)
}

/** Where the progress token stands in a question, and in a progress notification. */
export const QUESTION_TOKEN = TOKEN_PATH
export const PROGRESS_TOKEN = ['progressToken'] as const

/**
 * `params` with the progress token at `path` exchanged.
 * @throws HubError `request.duplicate-member`
 */
export function withToken(params: Buffer, path: readonly string[], token: RequestId): Buffer {
  const at = locate(params, path)
  return at ? splice(params, [{ ...at, text: JSON.stringify(token) }]) : params
}

/** Why this session's client cannot be asked this, if it cannot. */
export function missingCapability({ request }: Question, session: Session): HubError | undefined {
  const { capabilities } = session.identity
  switch (request.method) {
    case METHOD.sampling:
      return isObject(capabilities['sampling']) ? undefined : unsupported('sampling')
    case METHOD.rootsList:
      return isObject(capabilities['roots']) ? undefined : unsupported('roots')
    case METHOD.elicitation: {
      const { elicitation } = capabilities
      if (!isObject(elicitation)) return unsupported('elicitation')
      // An empty declaration means form mode only (2025-11-25, client/elicitation, "Capabilities").
      const inUrlMode = request.params?.['mode'] === 'url'
      return inUrlMode && !isObject(elicitation['url']) ? unsupported('elicitation in URL mode') : undefined
    }
    default:
      return undefined
  }
}

function unsupported(capability: string): HubError {
  return new HubError('client.unsupported', `The client of this call does not support ${capability}.`, {
    data: { capability },
    cure: 'Connect with a client that declares it, or use a tool that does not ask.',
  })
}

export function nobodyAsked({ server, request }: Question): HubError {
  return new HubError(
    'client.ambiguous',
    `Server "${server}" sent ${request.method} while no client's call was in flight, so nobody can be asked.`,
    { data: { server }, cure: 'A server that several clients share may only ask while it works on a call.' },
  )
}

export function ambiguous({ server, request }: Question): HubError {
  return new HubError(
    'client.ambiguous',
    `Server "${server}" sent ${request.method} while calls of several clients were in flight; whose it is cannot be told.`,
    {
      data: { server },
      cure: 'Set "isolation": "session" for this server in the settings: each client then has a process of its own.',
    },
  )
}

export function clientGone(server: string): HubError {
  return new HubError('client.gone', `The client that server "${server}" asks is not there any more.`, {
    data: { server },
    cure: 'Let it call again.',
  })
}

export function noAnswer(server: string): HubError {
  return new HubError('client.gone', `The client that server "${server}" asked has not answered in time.`, {
    data: { server },
    cure: 'Let it call again.',
  })
}
