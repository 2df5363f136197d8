import { HubError, hubStopping, toHubError } from '../../domain/errors.ts'
import { negotiate, type Revision } from '../../mcp/eras.ts'
import { isObject, type RpcRequest } from '../../mcp/json-rpc.ts'
import type { ServerHello } from '../../mcp/methods.ts'
import type { ClientIdentity } from '../../upstream/upstream.ts'
import { asOpened } from '../catalog/hello.ts'
import type { EndpointScope } from '../catalog/scope.ts'
import { type ClientAddress, Session, type SessionStream } from '../sessions/session.ts'
import type { FrontDeps, McpRequest } from './deps.ts'

/** Whoever sends `initialize`. */
interface Newcomer extends Pick<McpRequest, 'endpoint' | 'principal'> {
  readonly client: ClientAddress
  /** The node that its calls should go to. */
  readonly preferredNode: string | undefined
}

/**
 * Answers `initialize`: a new session, which is in the table, and what the endpoint says of itself.
 * @throws HubError when the endpoint is unknown, closed to the caller, or its only server is out of reach
 */
export async function greet(
  deps: FrontDeps,
  { endpoint, principal, client, preferredNode }: Newcomer,
  request: RpcRequest,
  makeStream: (revision: Revision) => SessionStream,
): Promise<{ session: Session; hello: ServerHello }> {
  if (deps.stopping()) throw hubStopping()
  deps.sessions.ensureRoom()
  const { catalogs, clock } = deps
  const { scope } = catalogs.endpoint(endpoint, principal)
  const identity = deps.intern(readIdentity(request))
  const revision = negotiate(identity.protocolVersion)
  const session = new Session({
    id: deps.random.id(128),
    endpoint,
    principal,
    revision,
    identity,
    client,
    stream: makeStream(revision),
    now: clock.monotonic(),
  })
  session.preferredNode = preferredNode
  // Its own server may speak to it before it is greeted.
  deps.sessions.add(session)
  try {
    return { session, hello: await endpointHello(deps, scope, session) }
  } catch (error) {
    deps.sessions.end(session, toHubError(error))
    throw error
  }
}

async function endpointHello(
  { catalogs, servers }: FrontDeps,
  scope: EndpointScope,
  session: Session,
): Promise<ServerHello> {
  if (scope.kind === 'server' && scope.spec.isolation !== 'shared') {
    const own = await servers.upstream(scope.spec.name, session)
    const hello = { ...asOpened(own.hello, scope.member), protocolVersion: session.revision }
    return scope.spec.isolation === 'session' ? hello : withoutTasks(hello)
  }
  await catalogs.firstLook(scope)
  const hello = catalogs.hello(scope, session.revision)
  if (hello) return scope.kind === 'server' ? withoutTasks(hello) : hello
  if (scope.kind !== 'server')
    throw new HubError('internal', 'An endpoint over many servers always has a greeting.')
  // Nothing is known of this server yet: either it comes up now, or the reason why not is the answer.
  const upstream = await servers.upstream(scope.spec.name, undefined)
  return withoutTasks({ ...asOpened(upstream.hello, scope.member), protocolVersion: session.revision })
}

/** Tasks belong to whoever started them, and a shared server does not know who that was. */
function withoutTasks(hello: ServerHello): ServerHello {
  const { tasks: _, ...capabilities } = hello.capabilities
  return { ...hello, capabilities }
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
