import type { HubError } from '../domain/errors.ts'
import type { RpcMessage } from '../mcp/json-rpc.ts'

/** A way to exchange JSON-RPC messages with one server: a process's pipes, or HTTP. */
export interface Channel {
  /** Hands a message over. Trouble with it comes back through `ChannelEvents`, never as a throw. */
  send(message: Outgoing): void
  /** Nobody waits for this request any more. */
  abandon(requestId: number): void
  /** Called once with the revision that `initialize` agreed on, before anything else is sent. */
  agreed(protocolVersion: string): void
  /** Ends the channel and waits for its end. Safe to call twice. */
  close(): Promise<void>
}

export interface Outgoing {
  readonly bytes: Buffer
  /** Set for requests: where a transport keeps answers apart, they are reported under this id. */
  readonly requestId?: number
}

export interface ChannelEvents {
  /** `requestId`: the request on whose own stream the message came, where the transport tells. */
  message(message: RpcMessage, requestId: number | undefined): void
  /** This one request failed; the channel lives on. */
  failed(requestId: number, error: HubError): void
  /** The channel has ended, once. */
  closed(reason: HubError): void
}

/** Opens a channel to one server. */
export type OpenChannel = (events: ChannelEvents, signal: AbortSignal) => Promise<Channel>
