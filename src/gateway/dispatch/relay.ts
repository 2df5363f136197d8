import { HubError, toHubError } from '../../domain/errors.ts'
import type { ServerSpec } from '../../domain/server-spec.ts'
import type { Logger } from '../../kernel/logger.ts'
import {
  encodeAnswer,
  encodeError,
  encodeNotification,
  jsonBytes,
  type RequestId,
  type RpcAnswer,
  type RpcNotification,
  type RpcRequest,
} from '../../mcp/json-rpc.ts'
import { splice } from '../../mcp/json-text.ts'
import { METHOD, NOTIFICATION } from '../../mcp/methods.ts'
import type { Upstream } from '../../upstream/upstream.ts'
import type { Listing } from '../catalog/listing.ts'
import type { Target } from '../catalog/view.ts'
import type { InFlight, Session } from '../sessions/session.ts'
import { eventOf, isCertainlyNotAccepted, isLost, isRepeatable } from './repeatable.ts'
import { locate, progressTokenOf, rewriteParams } from './reroute.ts'
import type { Servers } from './servers.ts'
import type { SharedState } from './shared-state.ts'
import type { Traffic } from './traffic.ts'
import type { Turns } from './turns.ts'

interface RelayDeps {
  readonly servers: Servers
  readonly traffic: Traffic
  readonly turns: Turns
  readonly shared: SharedState
  readonly log: Logger
  /** The settings of the moment for a server; undefined once it is gone. */
  spec(server: string): ServerSpec | undefined
  /** What the server offers, as last read. */
  listing(server: string): Listing | undefined
}

interface Route {
  readonly target: Target
  /** Where in `params` the name stands that must become the server's own. */
  readonly namePath: readonly string[]
  /** Looks at the answer before the client gets it. */
  readonly onAnswer?: (answer: RpcAnswer) => void
}

interface Unsubscribing {
  readonly session?: Session | undefined
  readonly except?: Upstream | undefined
}

/** Carries requests from a client to a server and the answers back, with ids and progress tokens kept apart. */
export class Relay {
  readonly #deps: RelayDeps
  #lastToken = 0

  constructor(deps: RelayDeps) {
    this.#deps = deps
  }

  /** Sends the request; everything that comes of it goes to `call.reply`. Never throws. */
  start(call: InFlight, request: RpcRequest, route: Route): void {
    try {
      const upstream = this.#deps.servers.upstream(route.target.spec.name, call.session)
      if (!(upstream instanceof Promise)) return this.#send(call, request, route, upstream)
      upstream.then(
        (ready) => this.#send(call, request, route, ready),
        (error: unknown) => this.#failed(call, error),
      )
    } catch (error) {
      this.#failed(call, error)
    }
  }

  /** Passes a notification to the upstream that this session has for itself, if it is open. */
  notify(session: Session, spec: ServerSpec, notification: RpcNotification): void {
    // A shared server could not tell whose it is.
    if (spec.isolation !== 'session') return
    this.#deps.servers.openUpstream(spec.name, session)?.notify(notification.method, notification.body)
  }

  /** Tells each replica of a shared server the level that its sessions want together; a user's own, what the user's sessions want. */
  tellLevel(server: string, session?: Session): void {
    const { shared } = this.#deps
    const level = shared.level(server, session && shared.userOf(server, session))
    if (level) this.#tellAll({ server, session }, METHOD.setLevel, { level })
  }

  /** Tells the server that runs for this session alone. */
  tellOwnLevel(server: string, session: Session): void {
    const upstream = session.logLevel && this.#deps.servers.openUpstream(server, session)
    if (upstream) this.#tell(server, upstream, METHOD.setLevel, { level: session.logLevel })
  }

  /** Nobody subscribes any more who shares with the session; `except` is told by somebody else. */
  unsubscribe(server: string, uri: string, { session, except }: Unsubscribing = {}): void {
    this.#tellAll({ server, session, except }, METHOD.unsubscribe, { uri })
  }

  /** A session has ended the last subscription: the replicas that it does not use itself are told here. */
  unsubscribeElsewhere(server: string, uri: string, session: Session): void {
    const { servers } = this.#deps
    // A server of one replica is told by the session's own request, even if that has yet to start it.
    const shared = servers.sharedUpstreams(server, session)
    if (shared.length > 1)
      this.unsubscribe(server, uri, { session, except: servers.openUpstream(server, session) })
  }

  #tellAll(
    { server, session, except }: Unsubscribing & { readonly server: string },
    method: string,
    params: unknown,
  ): void {
    for (const upstream of this.#deps.servers.sharedUpstreams(server, session))
      if (upstream !== except) this.#tell(server, upstream, method, params)
  }

  /** A request of the hub's own to a server that runs; one that does not is told when it comes up. */
  #tell(server: string, upstream: Upstream, method: string, params: unknown): void {
    const spec = this.#deps.spec(server)
    if (!spec) return
    upstream
      .request({ method, params: jsonBytes(params), limits: spec.call })
      .answer.catch((error: unknown) => {
        this.#deps.log.debug({ err: error, server, method }, 'a server could not be told something')
      })
  }

  #send(call: InFlight, request: RpcRequest, route: Route, upstream: Upstream): void {
    this.#deps.turns.take(call, upstream, () => {
      if (call.over) return
      try {
        this.#sendNow(call, request, route, upstream)
      } catch (error) {
        this.#failed(call, error)
      }
    })
  }

  #sendNow(call: InFlight, request: RpcRequest, route: Route, upstream: Upstream): void {
    const { target, namePath } = route
    const clientToken = progressTokenOf(request)
    const progress = clientToken === undefined ? undefined : this.#progress(call, clientToken)
    const params = rewriteParams(request, namePath, {
      name: target.original,
      progressToken: progress?.progressToken,
    })
    const pending = upstream.request({
      method: request.method,
      params,
      limits: target.spec.call,
      ...progress,
    })
    call.sent = { upstream, pending }
    this.#deps.traffic.add(upstream, pending, call)
    this.#deps.servers.observed?.(upstream, 'sent')
    pending.answer
      .then(
        (answer) => {
          this.#deps.traffic.remove(upstream, pending)
          this.#deps.turns.finished(call)
          this.#deps.servers.observed?.(upstream, 'answered')
          route.onAnswer?.(answer)
          call.answer(encodeAnswer(call.id, answer), answer)
        },
        (error: unknown) => {
          if (isStillAtWork(error)) this.#deps.traffic.linger(upstream, pending)
          else this.#deps.traffic.remove(upstream, pending)
          this.#deps.servers.observed?.(upstream, eventOf(error))
          if (call.over) return
          if (!call.resent && this.#mayRepeat(request, route, error)) this.#resend(call, request, route)
          else this.#failed(call, error)
        },
      )
      .catch((error: unknown) => this.#failed(call, error))
  }

  #progress(call: InFlight, clientToken: RequestId) {
    this.#lastToken += 1
    return {
      progressToken: this.#lastToken,
      onProgress: (progress: RpcNotification) => sendProgress(call, progress, clientToken),
    }
  }

  /** Whether the call cannot be carried out twice by sending it again, or may be. */
  #mayRepeat(request: RpcRequest, { target }: Route, error: unknown): boolean {
    if (isCertainlyNotAccepted(error)) return true
    if (!isLost(error)) return false
    return isRepeatable(request.method, target.original, this.#deps.listing(target.spec.name))
  }

  /** Once more, on the upstream that takes the lost one's place. */
  #resend(call: InFlight, request: RpcRequest, route: Route): void {
    call.resent = true
    call.sent = undefined
    this.start(call, request, route)
  }

  #failed(call: InFlight, error: unknown): void {
    const known = toHubError(error)
    if (known.code === 'internal')
      this.#deps.log.error({ err: error, server: call.server }, 'a call failed inside the hub')
    call.answer(encodeError(call.id, known.toRpc()), known)
  }
}

/** A cancelled or timed-out call: the server may go on with it all the same. */
function isStillAtWork(error: unknown): boolean {
  return (
    error instanceof HubError && (error.code === 'request.cancelled' || error.code === 'upstream.timeout')
  )
}

/** Hands progress to the client under the token that it chose. */
function sendProgress(call: InFlight, progress: RpcNotification, token: RequestId): void {
  if (!progress.body) return
  const at = locate(progress.body, ['progressToken'])
  const params = at ? splice(progress.body, [{ ...at, text: JSON.stringify(token) }]) : progress.body
  call.message(encodeNotification(NOTIFICATION.progress, params))
}
