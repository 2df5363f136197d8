import { HubError } from '../../domain/errors.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { Logger } from '../../kernel/logger.ts'
import type { InboundHandler } from '../../upstream/upstream.ts'
import type { Holder } from '../worker/local-server.ts'
import type { Link, LinkHandler } from './link.ts'
import { type CoordinatorPacket, encodePacket, OPENING_LANE, readFromWorker } from './packets.ts'
import { RemoteUpstream } from './remote-upstream.ts'
import { identityBytes, readErrorBytes } from './wire-values.ts'

export interface RemoteUpstreamsDeps {
  readonly link: Link
  readonly clock: Clock
  readonly log: Logger
}

interface Opening {
  readonly server: string
  readonly inbound: InboundHandler
  resolve(upstream: RemoteUpstream): void
  reject(error: HubError): void
}

export interface RemoteOpen {
  readonly server: string
  readonly replica: { readonly id: string; readonly epoch: number }
  /** undefined: the shared upstream. */
  readonly holder: Holder | undefined
  readonly inbound: InboundHandler
  /** Whether it is to be started if it does not run. */
  readonly wake: boolean
}

const MAX_NUMBER = 2 ** 32 - 1

/** All upstreams that a coordinator has over one link. It takes every packet but control messages. */
export class RemoteUpstreams implements LinkHandler {
  readonly link: Link
  readonly #deps: RemoteUpstreamsDeps
  readonly #open = new Map<number, RemoteUpstream>()
  readonly #openings = new Map<number, Opening>()
  readonly #whenEnded = new Set<(reason: HubError) => void>()
  #lastNumber = 0

  constructor(deps: RemoteUpstreamsDeps) {
    this.#deps = deps
    this.link = deps.link
    void deps.link.closed.then((reason) => this.#linkEnded(reason))
  }

  /**
   * Opens an upstream to a replica on the worker.
   * @throws HubError `server.unavailable` or `upstream.*` with `data.accepted: false`
   */
  open({ server, replica, holder, inbound, wake }: RemoteOpen): Promise<RemoteUpstream> {
    const { link } = this
    if (link.ended) return Promise.reject(notOpened(server, link.ended))
    const { promise, resolve, reject } = Promise.withResolvers<RemoteUpstream>()
    const upstream = this.#freeNumber()
    const packet = encodePacket({
      kind: 'open',
      upstream,
      replica,
      holder: holder && { id: holder.id, identity: identityBytes(holder.identity) },
      wake,
    })
    this.#openings.set(upstream, { server, inbound, resolve, reject })
    link.send(OPENING_LANE, packet)
    return promise
  }

  /** The holder is gone for good: what it has in the replica ends. */
  release(replica: { readonly id: string; readonly epoch: number }, holder: string): void {
    if (!this.link.ended) this.#send({ kind: 'release', replica, holder })
  }

  /** Calls back when the link has ended, after all its upstreams have. The result stops the waiting. */
  whenEnded(fire: (reason: HubError) => void): () => void {
    this.#whenEnded.add(fire)
    return () => this.#whenEnded.delete(fire)
  }

  /** @throws HubError `link.violation` */
  packet(bytes: Buffer): void {
    const packet = readFromWorker(bytes)
    const open = this.#open.get(packet.upstream)
    if (open) return open.receive(packet)
    const opening = this.#openings.get(packet.upstream)
    // Without either it was closed while this was on its way.
    if (!opening) return
    // Read first: what cannot be read ends the link, and with it the opening.
    if (packet.kind === 'openFailed') {
      const error = readErrorBytes(packet.body)
      this.#openings.delete(packet.upstream)
      return opening.reject(error)
    }
    if (packet.kind !== 'opened') return
    const upstream = new RemoteUpstream(packet, {
      ...this.#deps,
      server: opening.server,
      inbound: opening.inbound,
      forget: () => this.#open.delete(packet.upstream),
    })
    this.#openings.delete(packet.upstream)
    this.#open.set(packet.upstream, upstream)
    opening.inbound.opened(upstream)
    opening.resolve(upstream)
  }

  #linkEnded(reason: HubError): void {
    const openings = [...this.#openings.values()]
    this.#openings.clear()
    for (const { server, reject } of openings) reject(notOpened(server, reason))
    for (const upstream of [...this.#open.values()]) upstream.lost(reason)
    for (const fire of [...this.#whenEnded]) fire(reason)
    this.#whenEnded.clear()
  }

  #freeNumber(): number {
    do this.#lastNumber = this.#lastNumber >= MAX_NUMBER ? 1 : this.#lastNumber + 1
    while (this.#open.has(this.#lastNumber) || this.#openings.has(this.#lastNumber))
    return this.#lastNumber
  }

  #send(packet: CoordinatorPacket): void {
    this.link.send(OPENING_LANE, encodePacket(packet))
  }
}

function notOpened(server: string, cause: HubError): HubError {
  return new HubError('upstream.lost', `The connection to server "${server}" has ended: ${cause.message}`, {
    cause,
    data: { server, accepted: false },
    cure: 'Try again once the server is back.',
  })
}
