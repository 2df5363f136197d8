import { HubError } from '../domain/errors.ts'
import type { Clock } from '../kernel/clock.ts'
import type { Logger } from '../kernel/logger.ts'
import { TransitMap } from '../kernel/transit-map.ts'
import {
  encodeAnswer,
  encodeNotification,
  encodeRequest,
  jsonBytes,
  type RpcAnswer,
  type RpcMessage,
  type RpcNotification,
  type RpcRequest,
} from '../mcp/json-rpc.ts'
import { METHOD, NOTIFICATION, type ServerHello } from '../mcp/methods.ts'
import { Call } from './call.ts'
import type { Channel } from './channel.ts'
import type { InboundHandler, PendingCall, Related, Upstream, UpstreamCall } from './upstream.ts'

interface Deps {
  readonly server: string
  readonly clock: Clock
  readonly log: Logger
  readonly inbound: InboundHandler
}

/** JSON-RPC over a channel: pairs answers with calls, keeps their times, and passes the rest on. */
export class Connection implements Upstream {
  readonly closed: Promise<HubError>
  readonly #deps: Deps
  readonly #calls = new TransitMap<number, Call>()
  readonly #byToken = new TransitMap<number, Call>()
  /** Who wants to know when a call that nobody waits for any more has come to its end in the server. */
  readonly #late = new Map<number, () => void>()
  readonly #announceClosed: (reason: HubError) => void
  #channel: Channel | undefined
  #hello: ServerHello | undefined
  #ended: HubError | undefined
  #lastId = 0
  #idleSince: number

  constructor(deps: Deps) {
    this.#deps = deps
    this.#idleSince = deps.clock.monotonic()
    const { promise, resolve } = Promise.withResolvers<HubError>()
    this.closed = promise
    this.#announceClosed = resolve
  }

  attach(channel: Channel): void {
    this.#channel = channel
    if (this.#ended) void channel.close()
  }

  greeted(hello: ServerHello): void {
    this.#hello = hello
    this.#channel?.agreed(hello.protocolVersion)
  }

  get hello(): ServerHello {
    if (!this.#hello) throw new HubError('internal', 'The connection was used before it was initialized.')
    return this.#hello
  }

  get ended(): HubError | undefined {
    return this.#ended
  }

  get idleSince(): number | undefined {
    return this.#calls.size === 0 ? this.#idleSince : undefined
  }

  get load(): number {
    return this.#calls.size
  }

  request(call: UpstreamCall): PendingCall {
    this.#lastId += 1
    const id = this.#lastId
    const pending = new Call(id, call, this.#deps, {
      forget: () => this.#forget(pending),
      tellCancelled: (reason) => {
        // `initialize` must not be cancelled (basic/utilities/cancellation); its failure closes the channel anyway.
        if (call.method !== METHOD.initialize) this.#tellCancelled(id, reason)
      },
      onceOver: (fire) => {
        if (this.#ended) fire()
        else this.#late.set(id, fire)
        return () => this.#late.delete(id)
      },
    })
    if (this.#ended || !this.#channel) {
      pending.fail(neverSent(this.#deps.server, this.#ended))
      return pending
    }
    this.#calls.set(id, pending)
    if (call.progressToken !== undefined) this.#byToken.set(call.progressToken, pending)
    this.#channel.send({ bytes: encodeRequest(id, call.method, call.params), requestId: id })
    return pending
  }

  notify(method: string, params: Buffer | undefined): void {
    this.#channel?.send({ bytes: encodeNotification(method, params) })
  }

  respond({ id, answer }: { id: RpcRequest['id']; answer: RpcAnswer }): void {
    this.#channel?.send({ bytes: encodeAnswer(id, answer) })
  }

  async close(): Promise<void> {
    this.closedBy(
      new HubError('upstream.lost', `The hub closed its connection to server "${this.#deps.server}".`, {
        data: { server: this.#deps.server, byHub: true },
      }),
    )
    await this.#channel?.close()
  }

  message(message: RpcMessage, requestId: number | undefined): void {
    const call = requestId === undefined ? undefined : this.#calls.get(requestId)
    const related: Related = requestId === undefined ? undefined : (call ?? 'gone')
    switch (message.kind) {
      case 'result':
      case 'error':
        return this.#takeAnswer(message, call)
      case 'request':
        if (message.method === METHOD.ping) return this.#answerPing(message)
        return this.#deps.inbound.request(message, related)
      case 'notification':
        return this.#takeNotification(message, related)
    }
  }

  failed(requestId: number, error: HubError): void {
    this.#calls.get(requestId)?.fail(error)
  }

  closedBy(reason: HubError): void {
    if (this.#ended) return
    this.#ended = reason
    for (const call of [...this.#calls.values()]) call.fail(lost(this.#deps.server, reason))
    for (const fire of this.#late.values()) fire()
    this.#late.clear()
    this.#announceClosed(reason)
  }

  #takeAnswer(message: RpcAnswer, related: Call | undefined): void {
    // An error without an id belongs to the request on whose stream it came; on a pipe nobody can tell.
    const call = message.id === null ? related : this.#calls.get(Number(message.id))
    if (call) return call.settle(message)
    this.#deps.log.debug({ id: message.id }, 'an answer came that nobody waits for')
    this.#late.get(Number(message.id))?.()
    this.#late.delete(Number(message.id))
  }

  #takeNotification(message: RpcNotification, related: Related): void {
    if (message.method !== NOTIFICATION.progress) return this.#deps.inbound.notification(message, related)
    const call = this.#byToken.get(Number(message.params?.['progressToken']))
    if (call) call.progressed(message)
    else this.#deps.log.debug({}, 'progress came for a call that nobody waits for')
  }

  #answerPing(request: RpcRequest): void {
    this.respond({ id: request.id, answer: { kind: 'result', id: request.id, result: {}, body: EMPTY } })
  }

  #tellCancelled(id: number, reason: string | undefined): void {
    this.#channel?.abandon(id)
    this.notify(
      NOTIFICATION.cancelled,
      jsonBytes({ requestId: id, ...(reason === undefined ? {} : { reason }) }),
    )
  }

  #forget(call: Call): void {
    this.#calls.delete(call.id)
    if (call.progressToken !== undefined) this.#byToken.delete(call.progressToken)
    if (this.#calls.size === 0) this.#idleSince = this.#deps.clock.monotonic()
  }
}

const EMPTY = jsonBytes({})

function lost(server: string, cause: HubError | undefined): HubError {
  return new HubError(
    'upstream.lost',
    `Server "${server}" went away during the call${cause ? `: ${cause.message}` : '.'}`,
    {
      cause,
      data: { server },
      cure: 'Whether the call took effect is not known, so the hub does not repeat it. Try again once the server is back.',
    },
  )
}

/** The server has certainly not seen it, so that it may be sent to the next upstream. */
function neverSent(server: string, cause: HubError | undefined): HubError {
  return new HubError(
    'upstream.lost',
    `The connection to server "${server}" has ended${cause ? `: ${cause.message}` : '.'}`,
    {
      cause,
      data: { server, accepted: false },
      cure: 'Try again once the server is back.',
    },
  )
}
