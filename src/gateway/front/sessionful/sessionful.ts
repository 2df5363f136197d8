import type { IncomingMessage } from 'node:http'
import type { EndpointName } from '../../../domain/endpoint.ts'
import { HubError, hubStopping } from '../../../domain/errors.ts'
import { allowsBatches, isSupportedRevision, supportedRevisions } from '../../../mcp/eras.ts'
import { encodeError, encodeResult, jsonBytes, parseBody, type RpcMessage } from '../../../mcp/json-rpc.ts'
import { METHOD } from '../../../mcp/methods.ts'
import type { Session } from '../../sessions/session.ts'
import type { FrontDeps, McpRequest } from '../deps.ts'
import { greet } from '../greeting.ts'
import { accepts, EVENT_STREAM_TYPE, JSON_TYPE, readBody, sendJson } from '../http.ts'
import { NodePreference } from '../node-preference.ts'
import { PostExchange } from './post-exchange.ts'
import { SessionStreams } from './session-streams.ts'

/** Streamable HTTP of the 2025 era (spec 2025-11-25, basic/transports, "Streamable HTTP"). */
export class Sessionful {
  readonly #deps: FrontDeps
  readonly #preference: NodePreference

  constructor(deps: FrontDeps) {
    this.#deps = deps
    this.#preference = new NodePreference(deps.sticky)
  }

  /** @throws HubError for everything that is answered with an HTTP error */
  handle(incoming: McpRequest): Promise<void> | undefined {
    if (incoming.request.method === 'POST') return this.#post(incoming)
    if (incoming.request.method === 'GET') this.#get(incoming)
    else this.#delete(incoming)
    return undefined
  }

  async #post(incoming: McpRequest): Promise<void> {
    const { request } = incoming
    checkMediaTypes(request)
    checkRevision(request)
    const body = parseBody(await readBody(request, this.#deps.settings().bodyLimitBytes))
    if (
      body.kind === 'single' &&
      body.message.kind === 'request' &&
      body.message.method === METHOD.initialize
    ) {
      if (!request.headers['mcp-session-id']) return this.#initialize(incoming, body.message)
    }
    const session = this.#session(incoming)
    if (body.kind === 'single') this.#take(incoming, session, [body.message], false)
    else this.#batch(incoming, session, body.items)
  }

  async #initialize(incoming: McpRequest, message: Extract<RpcMessage, { kind: 'request' }>): Promise<void> {
    const { sessions, clock, addresses } = this.#deps
    const { session, hello } = await greet(
      this.#deps,
      {
        ...incoming,
        client: addresses.of(incoming.request),
        preferredNode: this.#preference.of(incoming.request),
      },
      message,
      (revision) => new SessionStreams(clock, revision),
    )
    // A client that has not waited would leave its session, and perhaps a process, until it expires.
    if (incoming.response.destroyed)
      return sessions.end(session, new HubError('client.gone', 'The client did not wait.'))
    this.#preference.beforeHead(incoming.request, incoming.response, session)?.()
    sendJson(incoming.response, 200, encodeResult(message.id, jsonBytes(hello)), {
      'Mcp-Session-Id': session.id,
    })
  }

  #batch(incoming: McpRequest, session: Session, items: readonly (RpcMessage | HubError)[]): void {
    if (!allowsBatches(session.revision))
      throw new HubError('request.invalid', `Protocol revision ${session.revision} has no batches.`, {
        cure: 'Send each message in a POST of its own.',
      })
    if (items.length === 0)
      throw new HubError('request.invalid', 'The batch is empty.', { cure: 'Send at least one message.' })
    this.#take(incoming, session, items, true)
  }

  #take(
    incoming: McpRequest,
    session: Session,
    items: readonly (RpcMessage | HubError)[],
    batch: boolean,
  ): void {
    const { dispatcher, clock } = this.#deps
    const { request, response } = incoming
    const requests = countRequests(items)
    if (requests > 0) this.#ensureRoom(incoming, requests)
    const { stream: streams } = session
    if (!(streams instanceof SessionStreams)) throw foreignSession()
    this.#preference.note(request, session)
    const beforeHead = this.#preference.beforeHead(request, response, session)
    const reply = new PostExchange({ response, clock, streams, requests, batch, beforeHead })
    for (const item of items) {
      if (item instanceof HubError) reply.answer(encodeError(null, item.toRpc()))
      else if (item.kind === 'request') dispatcher.request(session, item, reply)
      else this.#takeOneWay(session, item)
    }
  }

  /** What can be refused with an HTTP status is: a client that heeds Retry-After need not look into the body. */
  #ensureRoom({ principal: { limits } }: McpRequest, requests: number): void {
    if (this.#deps.stopping()) throw hubStopping()
    // The POST has been counted as one already.
    limits?.count(requests - 1)
    limits?.ensureRoom()
  }

  /** A message that gets no answer, not even when something is wrong with it. */
  #takeOneWay(session: Session, item: Exclude<RpcMessage, { kind: 'request' }>): void {
    const { dispatcher, log } = this.#deps
    try {
      if (item.kind === 'notification') dispatcher.notification(session, item)
      else dispatcher.answer(session, item)
    } catch (error) {
      log.debug({ err: error }, 'a message of a client could not be used')
    }
  }

  #get(incoming: McpRequest): void {
    const { request, response } = incoming
    if (!accepts(request.headers.accept, EVENT_STREAM_TYPE)) throw notAcceptable([EVENT_STREAM_TYPE])
    checkRevision(request)
    const { stream } = this.#session(incoming)
    if (!(stream instanceof SessionStreams)) throw foreignSession()
    const lastEventId = request.headers['last-event-id']
    if (typeof lastEventId === 'string' && lastEventId !== '') stream.resume(response, lastEventId)
    else stream.openStandalone(response)
  }

  #delete(incoming: McpRequest): void {
    const session = this.#session(incoming)
    this.#deps.sessions.end(session, new HubError('session.unknown', 'The client ended this session.'))
    incoming.response.writeHead(204).end()
  }

  #session({ request, endpoint, principal }: McpRequest): Session {
    const id = request.headers['mcp-session-id']
    if (typeof id !== 'string' || id === '')
      throw new HubError('session.required', 'The Mcp-Session-Id header is missing.', {
        cure: 'Send initialize first, and the session id of its answer with every further request.',
      })
    const session = this.#deps.sessions.require(id, principal.id)
    if (!(session.stream instanceof SessionStreams) || !sameEndpoint(session.endpoint, endpoint))
      throw foreignSession()
    // A group or server that has been removed takes its sessions with it.
    this.#deps.catalogs.endpoint(endpoint, principal)
    return session
  }
}

function sameEndpoint(a: EndpointName, b: EndpointName): boolean {
  return a.kind === 'all' || b.kind === 'all' ? a.kind === b.kind : a.kind === b.kind && a.name === b.name
}

/** What in a POST needs an answer; broken parts of a batch do too. */
function countRequests(items: readonly (RpcMessage | HubError)[]): number {
  let count = 0
  for (const item of items) if (item instanceof HubError || item.kind === 'request') count += 1
  return count
}

function foreignSession(): HubError {
  return new HubError('session.unknown', 'This session belongs to another endpoint.', {
    cure: 'Use a session only at the URL at which it was started.',
  })
}

function checkMediaTypes(request: IncomingMessage): void {
  const given = request.headers['content-type'] ?? ''
  const type = given === JSON_TYPE ? given : given.split(';')[0]?.trim().toLowerCase()
  if (type !== JSON_TYPE)
    throw new HubError('request.media-type', `The body must be ${JSON_TYPE}, not ${JSON.stringify(type)}.`, {
      cure: `Send "Content-Type: ${JSON_TYPE}".`,
    })
  const { accept } = request.headers
  if (!accepts(accept, JSON_TYPE) || !accepts(accept, EVENT_STREAM_TYPE))
    throw notAcceptable([JSON_TYPE, EVENT_STREAM_TYPE])
}

function notAcceptable(types: readonly string[]): HubError {
  return new HubError('request.not-acceptable', `The client must accept ${types.join(' and ')}.`, {
    cure: `Send "Accept: ${types.join(', ')}".`,
  })
}

function checkRevision(request: IncomingMessage): void {
  const revision = request.headers['mcp-protocol-version']
  if (revision === undefined || isSupportedRevision(revision)) return
  throw new HubError(
    'request.protocol-version',
    `Protocol revision ${JSON.stringify(revision)} is not supported.`,
    {
      data: { supported: supportedRevisions() },
      cure: `Supported are ${supportedRevisions().join(', ')}.`,
    },
  )
}
