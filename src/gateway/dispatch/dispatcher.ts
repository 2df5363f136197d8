import { HubError, toHubError } from '../../domain/errors.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { Logger } from '../../kernel/logger.ts'
import {
  encodeError,
  encodeResult,
  isObject,
  jsonBytes,
  type RpcAnswer,
  type RpcNotification,
  type RpcRequest,
} from '../../mcp/json-rpc.ts'
import { isLoggingLevel, METHOD, NOTIFICATION } from '../../mcp/methods.ts'
import type { Catalogs, Endpoint } from '../catalog/catalogs.ts'
import { LISTS, type ListKind } from '../catalog/listing.ts'
import { isWhole, type ScopeMember } from '../catalog/scope.ts'
import { announces, isHidden, ownerOfUri, type Target } from '../catalog/view.ts'
import { InFlight, type Reply, type Session } from '../sessions/session.ts'
import { admit } from './admission.ts'
import type { Asks } from './asks.ts'
import { type CallLog, watchCall } from './call-log.ts'
import type { Relay } from './relay.ts'
import { relayedList } from './relayed-list.ts'
import type { Servers } from './servers.ts'
import type { SharedState } from './shared-state.ts'

export interface DispatcherDeps {
  readonly catalogs: Catalogs
  readonly servers: Servers
  readonly relay: Relay
  readonly asks: Asks
  readonly shared: SharedState
  readonly calls: CallLog
  readonly clock: Clock
  readonly log: Logger
}

const LIST_BY_METHOD: ReadonlyMap<string, ListKind> = new Map(
  (Object.keys(LISTS) as ListKind[]).map((kind) => [LISTS[kind].method, kind]),
)
const EMPTY_RESULT = jsonBytes({})

/** Decides what becomes of each message of a client: answered here, or relayed to the server that it concerns. */
export class Dispatcher {
  readonly #deps: DispatcherDeps

  constructor(deps: DispatcherDeps) {
    this.#deps = deps
  }

  /** Never throws: whatever goes wrong becomes an error answer. */
  request(session: Session, request: RpcRequest, reply: Reply): void {
    const { limits } = session.principal
    let admitted = reply
    try {
      if (session.inFlight.has(request.id))
        throw new HubError(
          'request.invalid',
          `A request with id ${JSON.stringify(request.id)} is still under way.`,
          {
            cure: 'Use a new id for each request of a session.',
          },
        )
      if (request.method === METHOD.ping) return reply.answer(encodeResult(request.id, EMPTY_RESULT))
      if (limits) admitted = admit(reply, limits)
      this.#route(session, request, admitted, this.#endpoint(session))
    } catch (error) {
      this.#refuse(request, admitted, error)
    }
  }

  notification(session: Session, notification: RpcNotification): void {
    const { method, params } = notification
    switch (method) {
      case NOTIFICATION.initialized:
        return
      case NOTIFICATION.cancelled: {
        const id = params?.['requestId']
        const reason = params?.['reason']
        if (typeof id === 'string' || typeof id === 'number')
          session.inFlight.get(id)?.cancel(typeof reason === 'string' ? reason : undefined)
        return
      }
      case NOTIFICATION.progress:
        return this.#deps.asks.progressed(session, notification)
      default:
        return this.#passOn(session, notification)
    }
  }

  answer(session: Session, answer: RpcAnswer): void {
    this.#deps.asks.answered(session, answer)
  }

  #endpoint(session: Session): Endpoint {
    return this.#deps.catalogs.endpoint(session.endpoint, session.principal)
  }

  #route(session: Session, request: RpcRequest, reply: Reply, endpoint: Endpoint): void {
    const list = LIST_BY_METHOD.get(request.method)
    if (list) return this.#list(session, request, reply, endpoint, list)
    switch (request.method) {
      case METHOD.initialize:
        throw new HubError('request.invalid', 'This session is initialized already.', {
          cure: 'Send initialize without an Mcp-Session-Id header to start another.',
        })
      case METHOD.toolsCall:
        return this.#named(session, request, reply, endpoint, 'tools')
      case METHOD.promptsGet:
        return this.#named(session, request, reply, endpoint, 'prompts')
      case METHOD.resourcesRead:
        return this.#forward(session, request, reply, this.#uriTarget(request, endpoint), ['uri'])
      case METHOD.subscribe:
      case METHOD.unsubscribe:
        return this.#subscription(session, request, reply, this.#uriTarget(request, endpoint))
      case METHOD.complete:
        return this.#complete(session, request, reply, endpoint)
      case METHOD.setLevel:
        return this.#setLevel(session, request, reply, endpoint)
      default:
        return this.#other(session, request, reply, endpoint)
    }
  }

  #list(session: Session, request: RpcRequest, reply: Reply, endpoint: Endpoint, kind: ListKind): void {
    const { scope } = endpoint
    // A server that runs once for each session or user may show each something else.
    if (scope.kind === 'server' && scope.spec.isolation !== 'shared')
      return this.#forward(
        session,
        request,
        relayedList(reply, kind, scope.member),
        { spec: scope.spec, original: '' },
        [],
      )
    if (request.params?.['cursor'] !== undefined)
      throw new HubError('request.invalid-params', 'This cursor is unknown.', {
        cure: 'The hub sends each list whole, in one page: ask without a cursor.',
      })
    const { catalogs } = this.#deps
    const answer = () => reply.answer(encodeResult(request.id, this.#endpoint(session).list(kind)))
    if (catalogs.isKnown(scope)) return answer()
    void catalogs
      .firstLook(scope)
      .then(answer)
      .catch((error: unknown) => this.#refuse(request, reply, error))
  }

  #named(
    session: Session,
    request: RpcRequest,
    reply: Reply,
    endpoint: Endpoint,
    kind: 'tools' | 'prompts',
  ): void {
    const name = request.params?.['name']
    if (typeof name !== 'string')
      throw new HubError('request.invalid-params', `${request.method} needs a string "name".`, {
        cure: `Take it from ${LISTS[kind].method}.`,
      })
    const target = endpoint.view[kind].get(name)
    if (target) return this.#forward(session, request, reply, target, ['name'])
    const { scope } = endpoint
    if (scope.kind === 'server') {
      // A server may know more than it lists; it says so itself, or refuses.
      if (mayExist(scope.member, kind, name))
        return this.#forward(session, request, reply, { spec: scope.spec, original: name }, ['name'])
    } else if (!this.#deps.catalogs.isKnown(scope)) {
      return this.#namedLater(session, request, reply, { endpoint, kind, name })
    }
    throw unknownName(kind, name)
  }

  /** A name that a server may have whose lists nobody has seen yet: worth a moment's wait. */
  #namedLater(
    session: Session,
    request: RpcRequest,
    reply: Reply,
    { endpoint, kind, name }: { endpoint: Endpoint; kind: 'tools' | 'prompts'; name: string },
  ): void {
    // Under way from now on: it can be cancelled, and its id is taken.
    const call = new InFlight(session, request.id, { server: '', what: name, reply })
    session.inFlight.set(request.id, call)
    void this.#deps.catalogs
      .firstLook(endpoint.scope)
      .then(() => {
        if (call.over) return
        const found = this.#endpoint(session).view[kind].get(name)
        if (!found) throw unknownName(kind, name)
        session.inFlight.delete(request.id)
        this.#forward(session, request, reply, found, ['name'])
      })
      .catch((error: unknown) => call.answer(this.#refusal(request, error), toHubError(error)))
  }

  #uriTarget(request: RpcRequest, { scope, view }: Endpoint): Target {
    const uri = request.params?.['uri']
    if (typeof uri !== 'string')
      throw new HubError('request.invalid-params', `${request.method} needs a string "uri".`, {
        cure: 'Take it from resources/list, or fill a template of resources/templates/list.',
      })
    const owner = ownerOfUri(view, uri)
    if (owner) return owner
    // A server may know more than it lists; what the operator has hidden stays hidden.
    if (scope.kind === 'server' && isWhole(scope.member) && !isHidden(scope.spec, uri))
      return { spec: scope.spec, original: uri }
    throw new HubError('resource.unknown', `No server of this endpoint has the resource ${uri}.`, {
      data: { uri },
      cure: 'Take the URI from resources/list, or fill a template of resources/templates/list.',
    })
  }

  #subscription(session: Session, request: RpcRequest, reply: Reply, target: Target): void {
    const { shared } = this.#deps
    const { spec, original: uri } = target
    if (spec.isolation === 'session') return this.#forward(session, request, reply, target, ['uri'])
    if (request.method === METHOD.unsubscribe) {
      if (!shared.unsubscribe(spec.name, uri, session))
        return reply.answer(encodeResult(request.id, EMPTY_RESULT))
      this.#deps.relay.unsubscribeElsewhere(spec.name, uri, session)
      return this.#forward(session, request, reply, target, ['uri'])
    }
    // Counted from now on, so that somebody else's unsubscribing meanwhile does not end it.
    shared.subscribe(spec.name, uri, session)
    this.#forward(session, request, reply, target, ['uri'], (answer) => {
      if (answer.kind === 'error') shared.unsubscribe(spec.name, uri, session)
    })
  }

  #complete(session: Session, request: RpcRequest, reply: Reply, endpoint: Endpoint): void {
    const ref = request.params?.['ref']
    const { scope, view } = endpoint
    let target: Target | undefined
    if (isObject(ref) && typeof ref['name'] === 'string') target = view.prompts.get(ref['name'])
    else if (isObject(ref) && typeof ref['uri'] === 'string') {
      const { uri } = ref
      target =
        view.templates.find(({ matcher }) => matcher.template === uri)?.target ??
        ownerOfUri(view, String(uri))
      if (target) return this.#forward(session, request, reply, { ...target, original: uri }, ['ref', 'uri'])
    }
    if (!target && scope.kind === 'server' && isWhole(scope.member))
      return this.#forward(session, request, reply, whole(scope.spec), [])
    if (!target)
      throw new HubError(
        'request.invalid-params',
        'completion/complete needs a "ref" to a known prompt or resource template.',
        {
          cure: 'Take its name from prompts/list, or its URI template from resources/templates/list.',
        },
      )
    this.#forward(session, request, reply, target, ['ref', 'name'])
  }

  #setLevel(session: Session, request: RpcRequest, reply: Reply, endpoint: Endpoint): void {
    const level = request.params?.['level']
    if (!isLoggingLevel(level))
      throw new HubError('request.invalid-params', 'logging/setLevel needs a "level".', {
        cure: 'One of debug, info, notice, warning, error, critical, alert, emergency.',
      })
    session.logLevel = level
    const { scope } = endpoint
    if (scope.kind === 'server' && scope.spec.isolation === 'session')
      return this.#forward(session, request, reply, whole(scope.spec), [])
    const { catalogs, relay, shared } = this.#deps
    for (const [server, { spec }] of endpoint.view.servers) {
      if (spec.isolation === 'session') {
        relay.tellOwnLevel(server, session)
        continue
      }
      const user = shared.userOf(server, session)
      const before = shared.level(server, user)
      shared.setLevel(server, session, level)
      const listing = catalogs.listing(server)
      if (listing && announces(listing, 'logging') && shared.level(server, user) !== before)
        relay.tellLevel(server, session)
    }
    reply.answer(encodeResult(request.id, EMPTY_RESULT))
  }

  #other(session: Session, request: RpcRequest, reply: Reply, endpoint: Endpoint): void {
    const { scope } = endpoint
    if (scope.kind !== 'server')
      throw unknownMethod(
        request.method,
        'An endpoint over many servers has the methods of MCP; those of one server are at /mcp/<server>.',
      )
    if (!isWhole(scope.member))
      throw unknownMethod(request.method, 'This key opens only tools of this server.')
    // Tasks belong to whoever started them, and a shared server does not know who that was.
    if (scope.spec.isolation !== 'session' && request.method.startsWith('tasks/'))
      throw unknownMethod(
        request.method,
        'Set "isolation": "session" for this server: tasks need a server of their own.',
      )
    this.#forward(session, request, reply, whole(scope.spec), [])
  }

  #forward(
    session: Session,
    request: RpcRequest,
    reply: Reply,
    target: Target,
    namePath: readonly string[],
    onAnswer?: (answer: RpcAnswer) => void,
  ): void {
    // A tool by its name alone: this is the path where every string counts.
    const isCall = request.method === METHOD.toolsCall
    const what = isCall ? target.original : request.method
    const server = target.spec.name
    const onEnd = isCall ? watchCall(this.#deps, session, request, { server, tool: what }) : undefined
    const call = new InFlight(session, request.id, { server, what, reply, onEnd })
    session.inFlight.set(request.id, call)
    this.#deps.relay.start(call, request, { target, namePath, ...(onAnswer ? { onAnswer } : {}) })
  }

  /** A notification that the hub has no part in: the servers that this session uses alone get it. */
  #passOn(session: Session, notification: RpcNotification): void {
    const { scope } = this.#endpoint(session)
    const members = scope.kind === 'server' ? [scope.member] : scope.members
    // What the hub does not know might do anything; who is given a choice of tools gets no more than that.
    for (const member of members)
      if (isWhole(member) || notification.method === NOTIFICATION.rootsChanged)
        this.#deps.relay.notify(session, member.spec, notification)
  }

  #refuse(request: RpcRequest, reply: Reply, error: unknown): void {
    reply.answer(this.#refusal(request, error))
  }

  #refusal(request: RpcRequest, error: unknown): Buffer {
    const known = toHubError(error)
    if (known.code === 'internal')
      this.#deps.log.error({ err: error, method: request.method }, 'a request failed inside the hub')
    return encodeError(request.id, known.toRpc())
  }
}

/** Whether a name that nobody has listed may be passed on to the server all the same. */
function mayExist(member: ScopeMember, kind: 'tools' | 'prompts', name: string): boolean {
  const selection = member[kind]
  if (selection !== 'all' && !selection.has(name)) return false
  return member.spec.overrides[kind].get(name)?.enabled !== false
}

function whole(spec: Target['spec']): Target {
  return { spec, original: '' }
}

function unknownMethod(method: string, cure: string): HubError {
  return new HubError('request.unknown-method', `The method ${JSON.stringify(method)} is unknown here.`, {
    cure,
  })
}

function unknownName(kind: 'tools' | 'prompts', name: string): HubError {
  const what = kind === 'tools' ? 'tool' : 'prompt'
  return new HubError(`${what}.unknown`, `Unknown ${what}: ${name.slice(0, 200)}`, {
    cure: `${LISTS[kind].method} lists what there is.`,
  })
}
