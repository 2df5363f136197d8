import { HubError, toHubError } from '../../domain/errors.ts'
import type { ServerSpec } from '../../domain/server-spec.ts'
import type { Logger } from '../../kernel/logger.ts'
import {
  encodeAnswer,
  encodeError,
  encodeNotification,
  jsonBytes,
  type RequestId,
  type RpcNotification,
  type RpcRequest,
} from '../../mcp/json-rpc.ts'
import { splice } from '../../mcp/json-text.ts'
import { METHOD, NOTIFICATION } from '../../mcp/methods.ts'
import type { PendingCall, Upstream } from '../../upstream/upstream.ts'
import type { Target } from '../catalog/view.ts'
import type { InFlight, Session } from '../sessions/session.ts'
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
}

interface Route {
  readonly target: Target
  /** Where in `params` the name stands that must become the server's own. */
  readonly namePath: readonly string[]
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

  /** Passes a notification to the upstream that only this session uses; a shared server could not tell whose it is. */
  notify(session: Session, spec: ServerSpec, notification: RpcNotification): void {
    if (spec.isolation !== 'session' && notification.method === NOTIFICATION.rootsChanged) return
    void this.#withUpstream(spec.name, session, (upstream) =>
      upstream.notify(notification.method, notification.body),
    )
  }

  /** Tells a shared server the level that its sessions want together. */
  tellLevel(server: string): void {
    const level = this.#deps.shared.level(server)
    const spec = this.#deps.spec(server)
    if (!level || spec?.isolation !== 'shared') return
    void this.#withUpstream(server, undefined, async (upstream) => {
      const params = jsonBytes({ level })
      await upstream.request({ method: METHOD.setLevel, params, limits: spec.call }).answer
    })
  }

  /** Nobody subscribes any more. */
  unsubscribe(server: string, uri: string): void {
    const spec = this.#deps.spec(server)
    if (!spec) return
    void this.#withUpstream(server, undefined, async (upstream) => {
      await upstream.request({ method: METHOD.unsubscribe, params: jsonBytes({ uri }), limits: spec.call })
        .answer
    })
  }

  #send(call: InFlight, request: RpcRequest, route: Route, upstream: Upstream): void {
    this.#deps.turns.take(call, upstream, () => {
      if (call.cancelled) return this.#abandoned(call)
      try {
        this.#sendNow(call, request, route, upstream)
      } catch (error) {
        this.#failed(call, error)
      }
    })
  }

  #sendNow(call: InFlight, request: RpcRequest, { target, namePath }: Route, upstream: Upstream): void {
    const clientToken = progressTokenOf(request)
    const renamed = namePath.length > 0 && nameAt(request, namePath) !== target.original
    let progressToken: number | undefined
    if (clientToken !== undefined) {
      this.#lastToken += 1
      progressToken = this.#lastToken
    }
    const params = rewriteParams(request, namePath, {
      ...(renamed ? { name: target.original } : {}),
      ...(progressToken === undefined ? {} : { progressToken }),
    })
    const pending = upstream.request({
      method: request.method,
      params,
      limits: target.spec.call,
      ...(progressToken === undefined || clientToken === undefined
        ? {}
        : { progressToken, onProgress: (progress) => sendProgress(call, progress, clientToken) }),
    })
    call.sent = { upstream, pending }
    this.#deps.traffic.add(upstream, pending, call)
    pending.answer.then(
      (answer) => {
        this.#settled(call, upstream, pending)
        this.#deps.turns.finished(call)
        call.reply.answer(encodeAnswer(call.id, answer))
      },
      (error: unknown) => {
        this.#settled(call, upstream, pending)
        if (!call.resent && !call.cancelled && certainlyNotAccepted(error))
          this.#resend(call, request, { target, namePath })
        else this.#failed(call, error)
      },
    )
  }

  /** Once more, on the upstream that takes the lost one's place: the server has never seen the request. */
  #resend(call: InFlight, request: RpcRequest, route: Route): void {
    call.resent = true
    call.sent = undefined
    call.session.inFlight.set(call.id, call)
    this.start(call, request, route)
  }

  #settled(call: InFlight, upstream: Upstream, pending: PendingCall): void {
    call.session.inFlight.delete(call.id)
    this.#deps.traffic.remove(upstream, pending)
  }

  #failed(call: InFlight, error: unknown): void {
    call.session.inFlight.delete(call.id)
    if (call.cancelled) return call.reply.abandon()
    const known = toHubError(error)
    if (known.code === 'internal')
      this.#deps.log.error({ err: error, server: call.server }, 'a call failed inside the hub')
    call.reply.answer(encodeError(call.id, known.toRpc()))
  }

  #abandoned(call: InFlight): void {
    call.session.inFlight.delete(call.id)
    call.reply.abandon()
  }

  async #withUpstream(
    server: string,
    session: Session | undefined,
    act: (upstream: Upstream) => void | Promise<void>,
  ): Promise<void> {
    try {
      await act(await this.#deps.servers.upstream(server, session))
    } catch (error) {
      // When the server is back, `SharedState.restore` tells it all of this again.
      this.#deps.log.debug({ err: error, server }, 'a server could not be told something')
    }
  }
}

function certainlyNotAccepted(error: unknown): boolean {
  return error instanceof HubError && error.data['accepted'] === false
}

function nameAt(request: RpcRequest, path: readonly string[]): unknown {
  let value: unknown = request.params
  for (const member of path) value = (value as Record<string, unknown> | undefined)?.[member]
  return value
}

/** Hands progress to the client under the token that it chose. */
function sendProgress(call: InFlight, progress: RpcNotification, token: RequestId): void {
  if (!progress.body) return
  const at = locate(progress.body, ['progressToken'])
  const params = at ? splice(progress.body, [{ ...at, text: JSON.stringify(token) }]) : progress.body
  call.reply.message(encodeNotification(NOTIFICATION.progress, params))
}
