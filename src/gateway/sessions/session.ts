import type { EndpointName } from '../../domain/endpoint.ts'
import { HubError } from '../../domain/errors.ts'
import type { Principal } from '../../domain/principal.ts'
import { userHolderId } from '../../domain/user-holder.ts'
import type { Timer } from '../../kernel/clock.ts'
import { TransitMap } from '../../kernel/transit-map.ts'
import type { Revision } from '../../mcp/eras.ts'
import type { RequestId, RpcAnswer } from '../../mcp/json-rpc.ts'
import type { LoggingLevel } from '../../mcp/methods.ts'
import type { ClientIdentity, PendingCall, Upstream } from '../../upstream/upstream.ts'

/** Where the messages that belong to one client request go. */
export interface Reply {
  /** A notification or request that belongs to the request, before its answer. */
  message(bytes: Buffer): void
  /** The answer; nothing may follow. */
  answer(bytes: Buffer): void
  /** No answer will come: the client has cancelled. */
  abandon(): void
  /** Whether the client can still get what is sent here: it listens, or may come back for it. */
  readonly reachable: boolean
}

/** How a session reaches its client outside of any request. */
export interface SessionStream {
  /** A message that belongs to no request. Kept for a while when the client is not listening. */
  unrelated(bytes: Buffer): void
  /** A notification without parameters, worth no more than one of its kind however often it is sent. */
  hint(method: string): void
  /** The session is over: ends every stream. */
  end(): void
  /** Whether the client holds a connection open, so that silence is no sign of its absence. */
  readonly attached: boolean
  /** Lets go of what nobody will ask for any more. */
  trim(now: number): void
}

/** How a request ended: with the server's answer, or with the reason why there is none. */
export type Outcome = RpcAnswer | HubError

/** One request of a client that is on its way through a server. */
export class InFlight {
  readonly session: Session
  readonly id: RequestId
  readonly server: string
  /** The server's name of the tool, else the method: two calls of the same `what` behave alike. */
  readonly what: string
  readonly #reply: Reply
  readonly #onEnd: ((outcome: Outcome) => void) | undefined
  /** Set as soon as the server's upstream is at hand and the request was sent. */
  sent: { readonly upstream: Upstream; readonly pending: PendingCall } | undefined
  /** It was sent a second time, because the first was lost and doing it twice does no harm. */
  resent = false
  #over = false

  constructor(
    session: Session,
    id: RequestId,
    facts: { server: string; what: string; reply: Reply; onEnd?: ((outcome: Outcome) => void) | undefined },
  ) {
    this.session = session
    this.id = id
    this.server = facts.server
    this.what = facts.what
    this.#reply = facts.reply
    this.#onEnd = facts.onEnd
  }

  /** Its answer has been given, or nobody waits for one. The server may still be at work on it. */
  get over(): boolean {
    return this.#over
  }

  get reachable(): boolean {
    return !this.#over && this.#reply.reachable
  }

  message(bytes: Buffer): void {
    if (!this.#over) this.#reply.message(bytes)
  }

  /** Gives the client its answer, once. */
  answer(bytes: Buffer, outcome: Outcome): void {
    if (this.#end(outcome)) this.#reply.answer(bytes)
  }

  /** The client does not want an answer any more: it gets none, and the server is told. */
  cancel(reason: string | undefined): void {
    if (!this.#end(new HubError('request.cancelled', 'The client cancelled the call.'))) return
    this.#reply.abandon()
    this.sent?.pending.cancel(reason)
  }

  #end(outcome: Outcome): boolean {
    if (this.#over) return false
    this.#over = true
    this.session.inFlight.delete(this.id)
    this.#onEnd?.(outcome)
    return true
  }
}

/** Where a client's first request came from. */
export interface ClientAddress {
  readonly ip: string | undefined
  readonly userAgent: string | undefined
}

/** A question of a server that waits for the client's answer, under the id that the client sees. */
export interface OpenAsk {
  readonly server: string
  readonly upstream: Upstream
  /** The id under which the server waits. */
  readonly upstreamId: RequestId
  /** The progress token that the server chose, if it wants progress. */
  readonly progressToken: RequestId | undefined
  readonly call: InFlight | undefined
  /** Ends the wait when no answer comes. */
  readonly expiry: Timer
}

/**
 * A client's session of the 2025 era. Ten thousand idle ones must be cheap: what most sessions never use is made at
 * its first use.
 */
export class Session {
  readonly id: string
  readonly endpoint: EndpointName
  readonly principal: Principal
  readonly revision: Revision
  readonly identity: ClientIdentity
  readonly client: ClientAddress
  readonly stream: SessionStream
  /** Monotonic time of the last request, ms. */
  lastSeen: number
  logLevel: LoggingLevel | undefined
  /** It makes one call and is gone. */
  readonly oneOff: boolean
  /** The node that its calls should go to: see `Holder`. */
  preferredNode: string | undefined
  ended: HubError | undefined
  #inFlight: TransitMap<RequestId, InFlight> | undefined
  #asks: Map<number, OpenAsk> | undefined
  #lastAsk = 0

  constructor(facts: {
    id: string
    endpoint: EndpointName
    principal: Principal
    revision: Revision
    identity: ClientIdentity
    client: ClientAddress
    stream: SessionStream
    now: number
    oneOff?: boolean
  }) {
    this.id = facts.id
    this.endpoint = facts.endpoint
    this.principal = facts.principal
    this.revision = facts.revision
    this.identity = facts.identity
    this.client = facts.client
    this.stream = facts.stream
    this.lastSeen = facts.now
    this.oneOff = facts.oneOff ?? false
    this.preferredNode = undefined
  }

  /** Whose session it is: see `Holder`. */
  get user(): string {
    return userHolderId(this.principal)
  }

  /** Requests under way, by the client's id. */
  get inFlight(): TransitMap<RequestId, InFlight> {
    this.#inFlight ??= new TransitMap()
    return this.#inFlight
  }

  get busy(): boolean {
    return this.#inFlight !== undefined && this.#inFlight.size > 0
  }

  get asks(): Map<number, OpenAsk> {
    this.#asks ??= new Map()
    return this.#asks
  }

  /** Whether the client was ever asked anything. */
  get asked(): boolean {
    return this.#asks !== undefined
  }

  /** An id under which to put a question to the client. */
  nextAskId(): number {
    this.#lastAsk += 1
    return this.#lastAsk
  }
}
