import type { NodeFacts } from '../../domain/cluster.ts'
import type { HubError } from '../../domain/errors.ts'

/** An authenticated connection between a coordinator and a worker. It carries packets, each whole or not at all. */
export interface Link {
  /** Who is at the other end. */
  readonly peer: NodeFacts
  /**
   * Sends a packet of at most `MAX_PACKET_BYTES`. Packets of one lane arrive in their order; a big one goes in frames between which packets of
   * other lanes pass. Trouble ends the link, and never throws here.
   */
  send(lane: number, packet: Buffer): void
  /** Why the link has ended; undefined while it lives. */
  readonly ended: HubError | undefined
  /** Resolves with the reason once the link has ended, however that came. Never rejects. */
  readonly closed: Promise<HubError>
  /** Ends the link; the other side is told the reason's code. Safe to call twice. */
  close(reason: HubError): void
}

export interface LinkHandler {
  /** A packet that has come, in memory of its own. Called in the order of its lane; what it throws ends the link. */
  packet(packet: Buffer): void
}

/** As much as a server's message may have: see the limit of stdio lines. */
export const MAX_PACKET_BYTES = 256 * 1024 * 1024
/** Lane 0 is for control messages: nothing big goes there, and it waits for nobody. */
export const CONTROL_LANE = 0
