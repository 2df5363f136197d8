import { HubError, hubStopping, isHubErrorCode } from '../../domain/errors.ts'
import type { Principal } from '../../domain/principal.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { Random } from '../../kernel/random.ts'
import { VERSION } from '../../kernel/version.ts'
import { LATEST_2025 } from '../../mcp/eras.ts'
import { isObject, jsonBytes, parseMessage } from '../../mcp/json-rpc.ts'
import { METHOD } from '../../mcp/methods.ts'
import type { ClientIdentity } from '../../upstream/upstream.ts'
import type { Catalogs, Endpoint } from '../catalog/catalogs.ts'
import type { Dispatcher } from '../dispatch/dispatcher.ts'
import type { Servers } from '../dispatch/servers.ts'
import { type ClientAddress, type Reply, Session, type SessionStream } from '../sessions/session.ts'

export interface DirectCall {
  readonly server: string
  /** The server's own name of the tool, or `<server><separator><tool>` as endpoints over many servers show it. */
  readonly tool: string
  readonly arguments: Readonly<Record<string, unknown>>
  readonly client: ClientAddress
  /** Cancels the call. */
  readonly signal: AbortSignal
}

export interface DirectCallsDeps {
  readonly catalogs: Catalogs
  readonly dispatcher: Dispatcher
  readonly servers: Servers
  readonly clock: Clock
  readonly random: Random
  nameSeparator(): string
  stopping(): boolean
}

/** A caller that cannot be asked anything and shows no progress. */
const IDENTITY: ClientIdentity = {
  protocolVersion: LATEST_2025,
  clientInfo: { name: 'flotilla-api', version: VERSION },
  capabilities: {},
}

const REQUEST_ID = 1

/** Tool calls without an MCP client: each has a session that nobody else ever sees, and that ends with it. */
export class DirectCalls {
  readonly #deps: DirectCallsDeps

  constructor(deps: DirectCallsDeps) {
    this.#deps = deps
  }

  /**
   * The `CallToolResult` as the server gave it.
   * @throws HubError `endpoint.unknown`, `access.denied`, `tool.unknown`, `access.rate-limited`, `hub.stopping`, those of servers, and
   *   `upstream.rejected` for an error that the server answered
   */
  async call(principal: Principal, call: DirectCall): Promise<Readonly<Record<string, unknown>>> {
    const { catalogs, dispatcher, servers, clock, random } = this.#deps
    if (this.#deps.stopping()) throw hubStopping()
    const endpoint = { kind: 'server', name: call.server } as const
    await catalogs.firstLook(catalogs.endpoint(endpoint, principal).scope)
    const name = this.#ownName(call, catalogs.endpoint(endpoint, principal))
    const request = parseMessage(
      jsonBytes({
        jsonrpc: '2.0',
        id: REQUEST_ID,
        method: METHOD.toolsCall,
        params: { name, arguments: call.arguments },
      }),
    )
    if (request.kind !== 'request') throw new HubError('internal', 'A tool call is a request.')
    const session = new Session({
      id: random.id(128),
      endpoint,
      principal,
      revision: LATEST_2025,
      identity: IDENTITY,
      client: call.client,
      stream: NOBODY_LISTENS,
      now: clock.monotonic(),
      oneOff: true,
    })
    const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
    const cancel = () => session.inFlight.get(REQUEST_ID)?.cancel('the caller has gone')
    call.signal.addEventListener('abort', cancel, { once: true })
    try {
      dispatcher.request(session, request, replyTo(resolve, reject))
      if (call.signal.aborted) cancel()
      return resultOf(await promise, call.server)
    } finally {
      call.signal.removeEventListener('abort', cancel)
      servers.release(session.id)
    }
  }

  #ownName({ server, tool }: DirectCall, { view }: Endpoint): string {
    const prefix = `${server}${this.#deps.nameSeparator()}`
    if (view.tools.has(tool) || !tool.startsWith(prefix)) return tool
    const own = tool.slice(prefix.length)
    return view.tools.has(own) ? own : tool
  }
}

const NOBODY_LISTENS: SessionStream = {
  unrelated: () => undefined,
  hint: () => undefined,
  end: () => undefined,
  trim: () => undefined,
  attached: false,
}

function replyTo(resolve: (answer: Buffer) => void, reject: (error: HubError) => void): Reply {
  return {
    // Progress and log messages of the call: nobody could be shown them.
    message: () => undefined,
    answer: resolve,
    abandon: () => reject(new HubError('request.cancelled', 'The caller did not wait.')),
    reachable: true,
  }
}

function resultOf(bytes: Buffer, server: string): Readonly<Record<string, unknown>> {
  const answer = parseMessage(bytes)
  if (answer.kind === 'result' && isObject(answer.result)) return answer.result
  if (answer.kind !== 'error')
    throw new HubError('upstream.invalid', `Server "${server}" gave a result that is no object.`, {
      data: { server },
    })
  const { message, data } = answer.error
  const { code, ...facts } = isObject(data) ? data : {}
  // The hub's own errors carry their code; whatever else comes is the server's.
  if (isHubErrorCode(code)) throw new HubError(code, message, { data: facts })
  throw new HubError('upstream.rejected', `Server "${server}" answered: ${message}`, {
    data: { server, code: answer.error.code },
  })
}
