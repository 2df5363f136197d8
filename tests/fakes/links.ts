import type { NodeFacts } from '../../src/domain/cluster.ts'
import { type HubError, toHubError } from '../../src/domain/errors.ts'
import type { Link, LinkHandler } from '../../src/fleet/link/link.ts'

export function nodeFacts(id: string, parts: Partial<NodeFacts> = {}): NodeFacts {
  return {
    id,
    name: `name of ${id}`,
    role: 'worker',
    version: '0.0.0',
    host: undefined,
    port: undefined,
    hostname: id,
    os: 'linux',
    labels: {},
    weight: 1,
    maxServers: undefined,
    runtimes: [],
    ...parts,
  }
}

interface Sent {
  readonly lane: number
  readonly packet: Buffer
}

/** One end of a link in memory: packets arrive in a later turn of the event loop, in their order. */
export class FakeLink implements Link {
  readonly peer: NodeFacts
  readonly closed: Promise<HubError>
  readonly sent: Sent[] = []
  ended: HubError | undefined
  handler: LinkHandler | undefined
  other: FakeLink | undefined
  /** Packets on such lanes stay under way until `letGo`. */
  holds: (lane: number) => boolean = () => false
  readonly #held: Sent[] = []
  readonly #resolveClosed: (reason: HubError) => void

  constructor(peer: NodeFacts) {
    this.peer = peer
    const { promise, resolve } = Promise.withResolvers<HubError>()
    this.closed = promise
    this.#resolveClosed = resolve
  }

  send(lane: number, packet: Buffer): void {
    if (this.ended) return
    // Whoever sends may go on to use its memory; what arrives has memory of its own.
    const sent = { lane, packet: Buffer.from(packet) }
    this.sent.push(sent)
    if (this.holds(lane)) this.#held.push(sent)
    else this.#deliver(sent)
  }

  letGo(): void {
    this.holds = () => false
    for (const sent of this.#held.splice(0)) this.#deliver(sent)
  }

  close(reason: HubError): void {
    if (this.ended) return
    this.ended = reason
    this.#resolveClosed(reason)
    this.other?.close(reason)
  }

  #deliver({ packet }: Sent): void {
    setImmediate(() => {
      if (this.ended || !this.other) return
      try {
        this.other.handler?.packet(packet)
      } catch (error) {
        this.close(toHubError(error))
      }
    })
  }
}

/** A link between a coordinator and a worker: each end as its side holds it. */
export function linkPair(): { coordinator: FakeLink; worker: FakeLink } {
  const coordinator = new FakeLink(nodeFacts('w1'))
  const worker = new FakeLink(nodeFacts('c1', { role: 'coordinator' }))
  coordinator.other = worker
  worker.other = coordinator
  return { coordinator, worker }
}
