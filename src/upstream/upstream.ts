import type { HubError } from '../domain/errors.ts'
import type { RpcAnswer, RpcNotification, RpcRequest } from '../mcp/json-rpc.ts'
import type { Capabilities, Implementation, ServerHello } from '../mcp/methods.ts'

/**
 * One connection to one MCP server, initialized. The gateway asks for nothing else: whether a process, an HTTP service
 * or a worker far away stands behind it is not its business.
 */
export interface Upstream {
  readonly hello: ServerHello
  request(call: UpstreamCall): PendingCall
  notify(method: string, params: Buffer | undefined): void
  /** Answers a request that came in through `InboundHandler.request`. */
  respond(answer: { id: RpcRequest['id']; answer: RpcAnswer }): void
  /** Since when no call is in flight (monotonic clock, ms); undefined while one is. */
  readonly idleSince: number | undefined
  /** Calls in flight. */
  readonly load: number
  /** Why the connection has ended; undefined while it lives. */
  readonly ended: HubError | undefined
  /** Resolves with the reason once the connection has ended, however that came. Never rejects. */
  readonly closed: Promise<HubError>
  /** Ends the connection and waits for it; calls still in flight fail. Safe to call twice. */
  close(): Promise<void>
}

export interface UpstreamCall {
  readonly method: string
  readonly params: Buffer | undefined
  /** The `_meta.progressToken` that stands in `params`, unique on this upstream; its progress comes to `onProgress`. */
  readonly progressToken?: number
  readonly onProgress?: (progress: RpcNotification) => void
  readonly limits: CallTimes
}

export interface CallTimes {
  readonly timeoutMs: number
  readonly resetTimeoutOnProgress: boolean
  /** 0 = none. */
  readonly maxTotalTimeoutMs: number
}

export interface PendingCall {
  /** Unlike that of any other call of its upstream. */
  readonly id: number
  /** The server's answer, as it came; rejects with a HubError when there is none. */
  readonly answer: Promise<RpcAnswer>
  /** Tells the server that nobody waits any more; `answer` then rejects with `request.cancelled`. */
  cancel(reason: string | undefined): void
  /**
   * Calls back when the server can no longer be at work on a call that was cancelled or timed out: its late answer came, or the
   * connection has ended. The result stops the waiting.
   */
  onceOver(fire: () => void): () => void
  /** While held, the silence of the server does not count: it waits for somebody on the client's side. */
  hold(): void
  release(): void
}

/** The call on whose own stream a message came: `gone` if it is over already, undefined where a transport does not tell. */
export type Related = PendingCall | 'gone' | undefined

/** Receives what a server says unasked. */
export interface InboundHandler {
  /** Called once, before anything else: the upstream that the rest is about. */
  opened(upstream: Upstream): void
  request(request: RpcRequest, related: Related): void
  notification(notification: RpcNotification, related: Related): void
}

/**
 * The first `longest` characters of what a server has said, fit to be read by people: a server may say the secrets that it
 * was given, and its words become part of errors, logs and reports.
 */
export type Harmless = (text: string, longest: number) => string

/** Who we say we are in `initialize`. */
export interface ClientIdentity {
  readonly protocolVersion: string
  readonly clientInfo: Implementation
  readonly capabilities: Capabilities
}

/** Opens upstreams to one server; each call makes a new one. */
export interface UpstreamFactory {
  /** @throws HubError `server.unavailable` or `upstream.*` when no initialized connection comes about */
  open(identity: ClientIdentity, inbound: InboundHandler, signal: AbortSignal): Promise<Upstream>
  /** The last lines that the server's process wrote on stderr, oldest first; empty for servers without a process. */
  stderr(): readonly string[]
}
