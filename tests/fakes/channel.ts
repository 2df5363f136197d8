import { parseMessage, type RpcMessage } from '../../src/mcp/json-rpc.ts'
import type { Channel, Outgoing } from '../../src/upstream/channel.ts'

/** A channel that keeps what is sent; the test plays the server. */
export class FakeChannel implements Channel {
  readonly outgoing: Outgoing[] = []
  readonly abandoned: number[] = []
  readonly revisions: string[] = []
  closeCalls = 0
  /** Sees each message as it is sent, such as to answer it at once. */
  onSend: ((message: RpcMessage) => void) | undefined

  send(message: Outgoing): void {
    this.outgoing.push(message)
    this.onSend?.(parseMessage(message.bytes))
  }

  abandon(requestId: number): void {
    this.abandoned.push(requestId)
  }

  agreed(protocolVersion: string): void {
    this.revisions.push(protocolVersion)
  }

  async close(): Promise<void> {
    this.closeCalls += 1
  }

  /** What was sent so far, parsed. */
  get sent(): unknown[] {
    return this.outgoing.map(({ bytes }) => JSON.parse(bytes.toString()))
  }
}
