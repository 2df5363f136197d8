import type { IncomingMessage, ServerResponse } from 'node:http'
import type { EndpointName } from '../../../domain/endpoint.ts'
import { HubError, hubStopping, toHubError } from '../../../domain/errors.ts'
import type { Principal } from '../../../domain/principal.ts'
import type { Clock } from '../../../kernel/clock.ts'
import { encodeEvent } from '../../../mcp/event-stream.ts'
import {
  encodeError,
  encodeNotification,
  encodeResult,
  jsonBytes,
  parseBody,
  type RpcMessage,
  type RpcRequest,
} from '../../../mcp/json-rpc.ts'
import { METHOD } from '../../../mcp/methods.ts'
import type { ClientAddress, Reply, Session, SessionStream } from '../../sessions/session.ts'
import { unknownSession } from '../../sessions/session-table.ts'
import type { FrontDeps, McpRequest } from '../deps.ts'
import { EventWriter } from '../event-writer.ts'
import { greet } from '../greeting.ts'
import { accepts, EVENT_STREAM_TYPE, readBody } from '../http.ts'
import { NodePreference } from '../node-preference.ts'

/** A connection of which `initialize` has not come yet, or the session that came of it. */
interface Connection {
  readonly id: string
  readonly endpoint: EndpointName
  readonly principal: Principal
  readonly client: ClientAddress
  readonly stream: SingleStream
  /** The node that the client asks for. */
  preferredNode: string | undefined
  session: Session | undefined
}

/**
 * The older HTTP+SSE transport (spec 2024-11-05, basic/transports): one GET stream that carries everything to the client,
 * and a path of its own to post to. The session lives as long as the stream.
 */
export class LegacySse {
  readonly #deps: FrontDeps
  readonly #connections = new Map<string, Connection>()
  readonly #preference: NodePreference

  constructor(deps: FrontDeps) {
    this.#deps = deps
    this.#preference = new NodePreference(deps.sticky)
  }

  open({ request, response, endpoint, principal }: McpRequest): void {
    if (!accepts(request.headers.accept, EVENT_STREAM_TYPE))
      throw new HubError('request.not-acceptable', `The client must accept ${EVENT_STREAM_TYPE}.`, {
        cure: `Send "Accept: ${EVENT_STREAM_TYPE}".`,
      })
    const { addresses, catalogs, clock, random, sessions } = this.#deps
    catalogs.endpoint(endpoint, principal)
    sessions.ensureRoom()
    const stream = new SingleStream(response, clock)
    const connection: Connection = {
      id: random.id(128),
      endpoint,
      principal,
      client: addresses.of(request),
      stream,
      preferredNode: this.#preference.of(request),
      session: undefined,
    }
    this.#connections.set(connection.id, connection)
    stream.writer.onClose(() => this.#closed(connection))
    stream.writer.write(
      encodeEvent('endpoint', undefined, Buffer.from(`/messages?sessionId=${connection.id}`)),
    )
  }

  async message(
    {
      request,
      response,
      principal,
    }: { request: IncomingMessage; response: ServerResponse; principal: Principal },
    id: string,
  ): Promise<void> {
    const connection = this.#connections.get(id)
    if (connection?.principal.id !== principal.id) throw unknownSession()
    const body = parseBody(await readBody(request, this.#deps.settings().bodyLimitBytes))
    const { session } = connection
    if (session) {
      session.lastSeen = this.#deps.clock.monotonic()
      this.#preference.note(request, session)
      // The stream's own head is long gone: the cookie comes with the answer to the next message.
      this.#preference.beforeHead(request, response, session)?.()
    } else connection.preferredNode = this.#preference.of(request) ?? connection.preferredNode
    // The transport answers on the stream; the POST only says that the message has come.
    response.writeHead(202, { 'Content-Type': 'text/plain' }).end('Accepted')
    const items = body.kind === 'single' ? [body.message] : body.items
    for (const item of items) await this.#take(connection, principal, item)
  }

  async #take(connection: Connection, principal: Principal, item: RpcMessage | HubError): Promise<void> {
    const { dispatcher } = this.#deps
    const { session, stream } = connection
    if (item instanceof HubError) return stream.unrelated(encodeError(null, item.toRpc()))
    if (item.kind === 'request' && item.method === METHOD.initialize && !session)
      return this.#initialize(connection, principal, item)
    if (!session) {
      if (item.kind === 'request') stream.unrelated(encodeError(item.id, notInitialized().toRpc()))
      return
    }
    if (item.kind === 'request' && this.#deps.stopping())
      return stream.unrelated(encodeError(item.id, hubStopping().toRpc()))
    if (item.kind === 'request') return dispatcher.request(session, item, stream.reply())
    try {
      if (item.kind === 'notification') dispatcher.notification(session, item)
      else dispatcher.answer(session, item)
    } catch (error) {
      this.#deps.log.debug({ err: error }, 'a message of a client could not be used')
    }
  }

  async #initialize(connection: Connection, principal: Principal, request: RpcRequest): Promise<void> {
    try {
      const { endpoint, client, preferredNode } = connection
      const { session, hello } = await greet(
        this.#deps,
        { endpoint, principal, client, preferredNode },
        request,
        () => connection.stream,
      )
      connection.session = session
      connection.stream.unrelated(encodeResult(request.id, jsonBytes(hello)))
      if (!connection.stream.attached) this.#closed(connection)
    } catch (error) {
      connection.stream.unrelated(encodeError(request.id, toHubError(error).toRpc()))
    }
  }

  #closed(connection: Connection): void {
    this.#connections.delete(connection.id)
    if (!connection.session) return
    this.#deps.sessions.end(
      connection.session,
      new HubError('session.unknown', 'The client closed its stream.'),
    )
  }
}

/** Everything goes down one stream, and nothing is kept: without it there is no session. */
class SingleStream implements SessionStream {
  readonly writer: EventWriter

  constructor(response: ServerResponse, clock: Clock) {
    this.writer = new EventWriter(response, clock, {})
  }

  get attached(): boolean {
    return this.writer.open
  }

  unrelated(bytes: Buffer): void {
    this.writer.write(encodeEvent('message', undefined, bytes))
  }

  hint(method: string): void {
    this.unrelated(encodeNotification(method, undefined))
  }

  end(): void {
    this.writer.end()
  }

  trim(): void {
    // Nothing is kept.
  }

  reply(): Reply {
    const stream = this
    return {
      message: (bytes) => stream.unrelated(bytes),
      answer: (bytes) => stream.unrelated(bytes),
      abandon: () => undefined,
      get reachable() {
        return stream.attached
      },
    }
  }
}

function notInitialized(): HubError {
  return new HubError('request.invalid', 'The session is not initialized.', {
    cure: 'Send initialize first.',
  })
}
