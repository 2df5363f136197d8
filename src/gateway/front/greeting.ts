import { HubError } from '../../domain/errors.ts'
import { negotiate, type Revision } from '../../mcp/eras.ts'
import { isObject, type RpcRequest } from '../../mcp/json-rpc.ts'
import type { ServerHello } from '../../mcp/methods.ts'
import type { ClientIdentity } from '../../upstream/upstream.ts'
import { Session, type SessionStream } from '../sessions/session.ts'
import type { FrontDeps, McpRequest } from './deps.ts'

/**
 * Answers `initialize`: a new session (not yet in the table) and what the endpoint says of itself.
 * @throws HubError when the endpoint is unknown, closed to the caller, or its only server is out of reach
 */
export async function greet(
  deps: FrontDeps,
  { endpoint, principal }: Pick<McpRequest, 'endpoint' | 'principal'>,
  request: RpcRequest,
  makeStream: (revision: Revision) => SessionStream,
): Promise<{ session: Session; hello: ServerHello }> {
  if (deps.stopping())
    throw new HubError('hub.stopping', 'The hub is stopping.', {
      retryAfter: 5,
      cure: 'Connect again in a moment.',
    })
  deps.sessions.ensureRoom()
  const { catalogs, servers, clock } = deps
  const { scope } = catalogs.endpoint(endpoint, principal.scope)
  const identity = deps.intern(readIdentity(request))
  const revision = negotiate(identity.protocolVersion)
  const session = new Session({
    id: deps.random.id(128),
    endpoint,
    principal,
    revision,
    identity,
    stream: makeStream(revision),
    now: clock.monotonic(),
  })
  if (scope.kind === 'server' && scope.spec.isolation === 'session') {
    const own = await servers.upstream(scope.spec.name, session)
    return { session, hello: { ...own.hello, protocolVersion: revision } }
  }
  await catalogs.firstLook(scope)
  const hello = catalogs.hello(scope, revision) ?? (await liveHello(deps, scope, revision))
  return { session, hello }
}

/** Nothing is known of this server yet: either it comes up now, or the reason why not is the answer. */
async function liveHello(
  deps: FrontDeps,
  scope: ReturnType<FrontDeps['catalogs']['endpoint']>['scope'],
  revision: Revision,
): Promise<ServerHello> {
  if (scope.kind !== 'server')
    throw new HubError('internal', 'An endpoint over many servers always has a greeting.')
  const upstream = await deps.servers.upstream(scope.spec.name, undefined)
  return { ...upstream.hello, protocolVersion: revision }
}

function readIdentity(request: RpcRequest): ClientIdentity {
  const { protocolVersion, capabilities, clientInfo } = request.params ?? {}
  if (typeof protocolVersion !== 'string')
    throw new HubError('request.invalid-params', 'initialize needs a string "protocolVersion".', {
      cure: 'Send the newest revision that the client knows, such as "2025-11-25".',
    })
  if (!isObject(clientInfo) || typeof clientInfo['name'] !== 'string')
    throw new HubError('request.invalid-params', 'initialize needs "clientInfo" with a "name".', {
      cure: 'Send {"name": …, "version": …} of the client.',
    })
  return {
    protocolVersion: negotiate(protocolVersion),
    capabilities: isObject(capabilities) ? capabilities : {},
    clientInfo: { ...clientInfo, name: clientInfo['name'], version: String(clientInfo['version'] ?? '') },
  }
}
