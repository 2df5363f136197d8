import { HubError, toHubError } from '../../domain/errors.ts'
import type { ServerSpec } from '../../domain/server-spec.ts'
import { isUserHolder } from '../../domain/user-holder.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { Logger } from '../../kernel/logger.ts'
import type { Upstream } from '../../upstream/upstream.ts'
import type { Link, LinkHandler } from '../link/link.ts'
import { linkViolation } from '../link/packet-bytes.ts'
import {
  encodePacket,
  type OpenPacket,
  type ReleasePacket,
  type RequestPacket,
  readFromCoordinator,
  upstreamLane,
  type WorkerPacket,
} from '../link/packets.ts'
import { errorBytes, readIdentityBytes, withData } from '../link/wire-values.ts'
import { Attachment } from './attachment.ts'
import type { HolderGrace } from './holder-grace.ts'
import type { Holder, LocalServer } from './local-server.ts'
import type { ServedUpstream } from './served-upstream.ts'

/** What is needed of a replica to serve it. */
export type ServedServer = Pick<LocalServer, 'spec' | 'state' | 'upstream' | 'openUpstream' | 'release'>

export interface LinkServiceDeps {
  readonly link: Link
  readonly replicas: {
    find(replica: { readonly id: string; readonly epoch: number }): ServedServer | undefined
  }
  mayServe(): boolean
  readonly grace: HolderGrace
  served(upstream: Upstream, spec: ServerSpec): ServedUpstream
  nextToken(): number
  readonly clock: Clock
  readonly log: Logger
}

/** The place of one upstream of this link. Without an attachment it is being opened. */
interface Slot {
  readonly replica: { readonly id: string; readonly epoch: number }
  readonly server: ServedServer
  readonly holder: Holder | undefined
  attachment: Attachment | undefined
  /** Tells that what the holder has is not used here any more. */
  leave: () => void
}

const MAX_UPSTREAMS = 65_536

/** Serves one coordinator. */
export class LinkService implements LinkHandler {
  readonly #deps: LinkServiceDeps
  readonly #slots = new Map<number, Slot>()

  constructor(deps: LinkServiceDeps) {
    this.#deps = deps
    void deps.link.closed.then(() => {
      for (const upstream of [...this.#slots.keys()]) this.#close(upstream, 'the coordinator is gone')
    })
  }

  /** @throws HubError `link.violation` */
  packet(bytes: Buffer): void {
    const packet = readFromCoordinator(bytes)
    switch (packet.kind) {
      case 'request':
        return this.#request(packet)
      case 'open':
        return this.#open(packet)
      case 'cancel':
        return this.#slots.get(packet.upstream)?.attachment?.cancel(packet)
      case 'notify':
        if (this.#deps.mayServe()) this.#slots.get(packet.upstream)?.attachment?.notify(packet)
        return
      case 'respond':
        if (this.#deps.mayServe()) this.#slots.get(packet.upstream)?.attachment?.respond(packet)
        return
      // These only end things, and that is never wrong.
      case 'close':
        return this.#close(packet.upstream, 'the coordinator does not use the server any more')
      case 'release':
        return this.#release(packet)
    }
  }

  #request(packet: RequestPacket): void {
    const { upstream, call } = packet
    const { replicas, mayServe } = this.#deps
    const slot = this.#slots.get(upstream)
    const isCurrent = slot !== undefined && replicas.find(slot.replica) === slot.server
    if (slot?.attachment && isCurrent && mayServe()) return slot.attachment.request(packet)
    // It was replaced or taken away, and only finishes what it has begun.
    if (slot && !isCurrent) slot.attachment?.retire(replaced(slot.server.spec.name))
    const why = slot && isCurrent ? 'its node may not serve at the moment' : 'its connection has ended'
    const error = new HubError('upstream.lost', `The server did not get the request: ${why}.`, {
      data: { accepted: false },
      cure: 'Try again in a moment.',
    })
    this.#send({ kind: 'failed', upstream, call, body: errorBytes(error) })
  }

  #open({ upstream, replica, holder: given, wake }: OpenPacket): void {
    if (this.#slots.has(upstream)) throw linkViolation(`upstream ${upstream} is open already`)
    const holder = given && { id: given.id, identity: readIdentityBytes(given.identity) }
    const server = this.#deps.replicas.find(replica)
    if (!server) return this.#refuse(upstream, notHere(replica.id))
    if (!this.#deps.mayServe()) return this.#refuse(upstream, mayNotServe(server.spec.name))
    if (this.#slots.size >= MAX_UPSTREAMS) return this.#refuse(upstream, tooMany(server.spec.name))
    const leave = holder ? this.#deps.grace.enter(server, holder.id) : () => undefined
    const slot: Slot = { replica, server, holder, attachment: undefined, leave }
    this.#slots.set(upstream, slot)
    try {
      const found = wake ? server.upstream(holder) : server.openUpstream(holder)
      if (!found) throw notRunning(server.spec.name)
      if (!(found instanceof Promise)) return this.#attach(upstream, slot, found)
      found
        .then((ready) => this.#attach(upstream, slot, ready))
        .catch((error: unknown) => this.#notOpened(upstream, slot, error))
    } catch (error) {
      this.#notOpened(upstream, slot, error)
    }
  }

  #attach(number: number, slot: Slot, upstream: Upstream): void {
    // Closed meanwhile, by the coordinator or with the link.
    if (this.#slots.get(number) !== slot) return
    const { server } = slot
    slot.attachment = new Attachment({
      ...this.#deps,
      number,
      served: this.#deps.served(upstream, server.spec),
      onClosed: () => this.#forget(number, slot),
    })
  }

  #notOpened(upstream: number, slot: Slot, error: unknown): void {
    if (this.#slots.get(upstream) !== slot) return
    this.#forget(upstream, slot)
    this.#refuse(upstream, withData(toHubError(error), { state: slot.server.state.kind }))
  }

  #close(upstream: number, reason: string): void {
    const slot = this.#slots.get(upstream)
    if (!slot) return
    this.#forget(upstream, slot)
    slot.attachment?.detach(reason)
  }

  #forget(upstream: number, slot: Slot): void {
    if (this.#slots.get(upstream) !== slot) return
    this.#slots.delete(upstream)
    slot.leave()
  }

  #release({ replica, holder }: ReleasePacket): void {
    const server = this.#deps.replicas.find(replica)
    if (server && !this.#othersUse(server, holder)) this.#deps.grace.end(server, holder)
  }

  /** A user may have sessions with other coordinators too; these tell when they are over. */
  #othersUse(server: ServedServer, holder: string): boolean {
    if (!isUserHolder(holder)) return false
    const here = this.#slots.values().filter((slot) => slot.server === server && slot.holder?.id === holder)
    return this.#deps.grace.users(server, holder) > [...here].length
  }

  #refuse(upstream: number, error: HubError): void {
    this.#send({ kind: 'openFailed', upstream, body: errorBytes(withData(error, { accepted: false })) })
  }

  #send(packet: WorkerPacket): void {
    this.#deps.link.send(upstreamLane(packet.upstream), encodePacket(packet))
  }
}

function notHere(replica: string): HubError {
  return new HubError('server.unavailable', `Replica "${replica}" does not run on this node.`, {
    data: { replica },
    retryAfter: 1,
    cure: 'It was moved or stopped; the next call goes to another.',
  })
}

function notRunning(server: string): HubError {
  return new HubError('server.unavailable', `Server "${server}" is not running at the moment.`, {
    data: { server },
    retryAfter: 1,
    cure: 'It starts with the next call.',
  })
}

function replaced(server: string): HubError {
  return new HubError('upstream.lost', `Server "${server}" was restarted or taken away from its node.`, {
    data: { server, byHub: true },
    cure: 'The next call goes to the one that takes its place.',
  })
}

function mayNotServe(server: string): HubError {
  return new HubError('server.unavailable', `The node of server "${server}" may not serve at the moment.`, {
    data: { server },
    retryAfter: 1,
    cure: 'It has to hear from its coordinator first. Try again in a moment.',
  })
}

function tooMany(server: string): HubError {
  return new HubError('server.unavailable', `The node of server "${server}" has too many connections open.`, {
    data: { server, limit: MAX_UPSTREAMS },
    retryAfter: 30,
    cure: 'End sessions that are no longer used, or add nodes.',
  })
}
