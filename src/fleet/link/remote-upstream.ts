import { HubError } from '../../domain/errors.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { Logger } from '../../kernel/logger.ts'
import { TransitMap } from '../../kernel/transit-map.ts'
import type { RpcAnswer, RpcRequest } from '../../mcp/json-rpc.ts'
import { NOTIFICATION, type ServerHello } from '../../mcp/methods.ts'
import { UnreadFailure, UnreadNotification, UnreadRequest, UnreadResult } from '../../mcp/unread.ts'
import { Call } from '../../upstream/call.ts'
import type { InboundHandler, PendingCall, Related, Upstream, UpstreamCall } from '../../upstream/upstream.ts'
import { type Link, MAX_PACKET_BYTES } from './link.ts'
import type { RelatedNumber } from './packet-bytes.ts'
import {
  type CoordinatorPacket,
  encodePacket,
  longLane,
  OPENING_LANE,
  type OpenedPacket,
  SHORT_BYTES,
  upstreamLane,
  type WorkerPacket,
} from './packets.ts'
import { readErrorBytes, readHelloBytes, readId } from './wire-values.ts'

interface Deps {
  readonly server: string
  readonly link: Link
  readonly inbound: InboundHandler
  readonly clock: Clock
  readonly log: Logger
  /** Nothing will come for it any more. */
  forget(): void
}

/** An upstream that a worker has, as its coordinator uses it. Ends with the link. */
export class RemoteUpstream implements Upstream {
  readonly hello: ServerHello
  readonly closed: Promise<HubError>
  readonly #deps: Deps
  readonly #number: number
  readonly #calls = new TransitMap<number, Call>()
  /** Who wants to know when a call that nobody waits for any more has come to its end in the server. */
  readonly #late = new Map<number, () => void>()
  readonly #announceClosed: (reason: HubError) => void
  #ended: HubError | undefined
  /** Nothing more can be sent, nor will come. */
  #cut = false
  #retired = false
  #lastCall = 0
  #idleSince: number

  /** @throws HubError `link.violation` */
  constructor({ upstream, body }: OpenedPacket, deps: Deps) {
    this.#number = upstream
    this.#deps = deps
    this.hello = readHelloBytes(body)
    this.#idleSince = deps.clock.monotonic()
    const { promise, resolve } = Promise.withResolvers<HubError>()
    this.closed = promise
    this.#announceClosed = resolve
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
    this.#lastCall += 1
    const number = this.#lastCall
    const { method, params, progressToken } = call
    const packet = encodePacket({
      kind: 'request',
      upstream: this.#number,
      call: number,
      method,
      params,
      progressToken,
    })
    const lane =
      packet.length > SHORT_BYTES
        ? longLane({ upstream: this.#number, call: number })
        : upstreamLane(this.#number)
    const pending = new Call(number, call, this.#deps, {
      forget: () => this.#forget(number),
      tellCancelled: (reason) =>
        this.#send({ kind: 'cancel', upstream: this.#number, call: number, reason }, lane),
      onceOver: (fire) => this.#onceOver(number, fire),
    })
    const refused = this.#whyNotSent(packet)
    if (refused) {
      pending.fail(refused)
      return pending
    }
    this.#calls.set(number, pending)
    this.#deps.link.send(lane, packet)
    return pending
  }

  notify(method: string, params: Buffer | undefined): void {
    this.#send({ kind: 'notify', upstream: this.#number, method, params })
  }

  respond({ id, answer }: { id: RpcRequest['id']; answer: RpcAnswer }): void {
    this.#send({
      kind: 'respond',
      upstream: this.#number,
      id: JSON.stringify(id),
      isError: answer.kind === 'error',
      body: answer.body,
    })
  }

  /** Lets go of it: what stands behind it on the worker goes on, unless its holder is released. */
  async close(): Promise<void> {
    if (this.#cut) return
    this.#send({ kind: 'close', upstream: this.#number }, OPENING_LANE)
    this.lost(this.#letGo())
  }

  /** Takes no new calls, and is closed when those that it has have ended: what ends on the worker lets them finish, or says that it does not. */
  retire(): void {
    if (this.#calls.size === 0) return void this.close()
    this.#retired = true
    this.#end(this.#letGo())
  }

  /** The link has ended, or nobody wants this any more: no answer will come. */
  lost(reason: HubError): void {
    this.#cut = true
    this.#end(reason)
    for (const call of [...this.#calls.values()]) call.fail(this.#lostCall(reason))
    this.#deps.forget()
  }

  /** @throws HubError `link.violation` */
  receive(packet: WorkerPacket): void {
    switch (packet.kind) {
      case 'result':
        return this.#settle(packet.call, new UnreadResult(packet.call, packet.body, packet.isError))
      case 'error':
        return this.#settle(packet.call, new UnreadFailure(packet.call, packet.body))
      case 'failed':
        return this.#failed(packet.call, readErrorBytes(packet.body))
      case 'progress':
        return this.#progressed(packet.call, packet.body)
      case 'asked':
        return this.#asked(new UnreadRequest(readId(packet.id), packet.method, packet.params), packet.related)
      case 'noted':
        return this.#noted(new UnreadNotification(packet.method, packet.params), packet.related)
      case 'over':
        return this.#over(packet.call)
      case 'closed':
        return this.#closedBy(readErrorBytes(packet.body))
      case 'opened':
      case 'openFailed':
        return
    }
  }

  #settle(number: number, answer: RpcAnswer): void {
    const call = this.#calls.get(number)
    if (call) call.settle(answer)
    else this.#over(number)
  }

  #failed(number: number, error: HubError): void {
    const call = this.#calls.get(number)
    if (call) call.fail(error)
    else this.#over(number)
  }

  #progressed(number: number, body: Buffer): void {
    const call = this.#calls.get(number)
    this.#deliver(() => call?.progressed(new UnreadNotification(NOTIFICATION.progress, body)))
  }

  #asked(request: RpcRequest, related: RelatedNumber): void {
    this.#deliver(() => this.#deps.inbound.request(request, this.#related(related)))
  }

  #noted(notification: UnreadNotification, related: RelatedNumber): void {
    this.#deliver(() => this.#deps.inbound.notification(notification, this.#related(related)))
  }

  /** What a server says may be unusable; that is no fault of the link. */
  #deliver(take: () => void): void {
    try {
      take()
    } catch (error) {
      if (error instanceof HubError)
        this.#deps.log.debug({ err: error }, 'a message of the server could not be used')
      else this.#deps.log.error({ err: error }, 'a message of the server could not be used')
    }
  }

  #related(related: RelatedNumber): Related {
    return typeof related === 'number' ? (this.#calls.get(related) ?? 'gone') : related
  }

  #onceOver(number: number, fire: () => void): () => void {
    if (this.#ended) fire()
    else this.#late.set(number, fire)
    return () => this.#late.delete(number)
  }

  #over(number: number): void {
    this.#late.get(number)?.()
    this.#late.delete(number)
  }

  /**
   * It takes no new calls. Each open one gets an end of its own: a long answer may still be on its way, and a process that was
   * replaced finishes what it has begun.
   */
  #closedBy(reason: HubError): void {
    this.#end(reason)
    if (this.#calls.size === 0) this.#deps.forget()
  }

  #end(reason: HubError): void {
    if (this.#ended) return
    this.#ended = reason
    for (const fire of this.#late.values()) fire()
    this.#late.clear()
    this.#announceClosed(reason)
  }

  #forget(number: number): void {
    this.#calls.delete(number)
    if (this.#calls.size > 0) return
    this.#idleSince = this.#deps.clock.monotonic()
    if (!this.#ended) return
    if (this.#retired) this.#send({ kind: 'close', upstream: this.#number }, OPENING_LANE)
    this.#deps.forget()
  }

  #send(packet: CoordinatorPacket, lane = upstreamLane(this.#number)): void {
    if (this.#cut) return
    const bytes = encodePacket(packet)
    if (bytes.length <= MAX_PACKET_BYTES) this.#deps.link.send(lane, bytes)
    else this.#deps.log.warn({ bytes: bytes.length, kind: packet.kind }, 'a message was too long for a link')
  }

  #letGo(): HubError {
    const { server } = this.#deps
    return new HubError('upstream.lost', `The hub closed its connection to server "${server}".`, {
      data: { server, byHub: true },
    })
  }

  #whyNotSent(packet: Buffer): HubError | undefined {
    const { server, link } = this.#deps
    const ended = this.#ended ?? link.ended
    if (ended)
      return new HubError(
        'upstream.lost',
        `The connection to server "${server}" has ended: ${ended.message}`,
        {
          cause: ended,
          data: { server, accepted: false },
          cure: 'Try again once the server is back.',
        },
      )
    if (packet.length <= MAX_PACKET_BYTES) return undefined
    return new HubError('request.too-large', `A request to server "${server}" has ${packet.length} bytes.`, {
      data: { server, accepted: false, limit: MAX_PACKET_BYTES },
      cure: `Send at most ${MAX_PACKET_BYTES} bytes at once.`,
    })
  }

  #lostCall(cause: HubError): HubError {
    const { server, link } = this.#deps
    return new HubError(
      'upstream.lost',
      `Server "${server}" on node "${link.peer.name}" was lost during the call: ${cause.message}`,
      {
        cause,
        data: { server, node: link.peer.id },
        cure: 'Whether the call took effect is not known, so the hub does not repeat it. Look at the state first, then try again.',
      },
    )
  }
}
