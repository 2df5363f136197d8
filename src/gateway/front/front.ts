import type { IncomingMessage, ServerResponse } from 'node:http'
import { checkOrigin } from '../../access/origin.ts'
import { HubError, toHubError } from '../../domain/errors.ts'
import { ALLOWED_METHODS, classify } from './classify.ts'
import type { FrontDeps } from './deps.ts'
import { sendError } from './http.ts'
import { LegacySse } from './legacy-sse/legacy-sse.ts'
import { Sessionful } from './sessionful/sessionful.ts'

/** The hub's HTTP side: looks at each request and hands it to whoever knows what to do. */
export class Front {
  readonly #deps: FrontDeps
  readonly #sessionful: Sessionful
  readonly #legacy: LegacySse

  constructor(deps: FrontDeps) {
    this.#deps = deps
    this.#sessionful = new Sessionful(deps)
    this.#legacy = new LegacySse(deps)
  }

  /** Answers the request, whatever it is. Never throws. */
  handle(request: IncomingMessage, response: ServerResponse): void {
    try {
      this.#handle(request, response)?.catch((error: unknown) => this.#fail(request, response, error))
    } catch (error) {
      this.#fail(request, response, error)
    }
  }

  /** Returns a promise only where something has to be waited for. */
  #handle(request: IncomingMessage, response: ServerResponse): Promise<void> | undefined {
    const { originPolicy } = this.#deps
    const { host, origin } = request.headers
    const what = classify(request.url ?? '/')
    checkOrigin({ host, origin }, originPolicy)
    if (origin !== undefined) allowCrossOrigin(response, origin)
    if (what.kind === 'reject') throw what.error
    const allowed = ALLOWED_METHODS[what.kind]
    if (request.method === 'OPTIONS' && origin !== undefined) {
      preflight(response, allowed)
      return undefined
    }
    if (!allowed.includes(request.method ?? '')) throw methodNotAllowed(request.method, allowed)
    if (what.kind === 'health' || what.kind === 'page' || what.kind === 'api') {
      this.#deps.other(request, response)
      return undefined
    }
    const principal = this.#deps.keyring.authenticate(this.#credential(request))
    if (what.kind === 'mcp')
      return this.#sessionful.handle({ request, response, endpoint: what.endpoint, principal })
    if (what.kind === 'legacy-stream') {
      this.#legacy.open({ request, response, endpoint: what.endpoint, principal })
      return undefined
    }
    return this.#legacy.message({ request, response, principal }, what.sessionId)
  }

  #credential(request: IncomingMessage): string | undefined {
    const value = request.headers[this.#deps.settings().bearerHeader.toLowerCase()]
    return Array.isArray(value) ? value[0] : value
  }

  #fail(request: IncomingMessage, response: ServerResponse, error: unknown): void {
    const known = toHubError(error)
    if (known.code === 'internal')
      this.#deps.log.error({ err: error, method: request.method }, 'a request failed inside the hub')
    const headers: Record<string, string> =
      known.code === 'request.method-not-allowed' ? { Allow: String(known.data['allow']) } : {}
    sendError(response, known, { headers })
    // A body that nobody reads would keep the connection from its next request.
    request.resume()
  }
}

function methodNotAllowed(method: string | undefined, allowed: readonly string[]): HubError {
  return new HubError('request.method-not-allowed', `${method} does not work here.`, {
    data: { allow: allowed.join(', ') },
    cure: `Use ${allowed.join(', ')}.`,
  })
}

function allowCrossOrigin(response: ServerResponse, origin: string): void {
  response.setHeader('Access-Control-Allow-Origin', origin)
  response.setHeader(
    'Access-Control-Expose-Headers',
    'Mcp-Session-Id, MCP-Protocol-Version, WWW-Authenticate, Retry-After, ETag, X-Request-Id',
  )
  response.setHeader('Vary', 'Origin')
}

function preflight(response: ServerResponse, allowed: readonly string[]): void {
  response.writeHead(204, {
    'Access-Control-Allow-Methods': allowed.join(', '),
    'Access-Control-Allow-Headers':
      'Content-Type, Accept, Authorization, Mcp-Session-Id, MCP-Protocol-Version, Last-Event-ID, If-Match, X-Auth-Token',
    'Access-Control-Max-Age': '600',
  })
  response.end()
}
