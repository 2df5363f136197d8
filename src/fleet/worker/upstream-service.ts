import type { ServerSpec } from '../../domain/server-spec.ts'
import { isUserHolder } from '../../domain/user-holder.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { Logger } from '../../kernel/logger.ts'
import type { InboundHandler, Upstream } from '../../upstream/upstream.ts'
import type { Link, LinkHandler } from '../link/link.ts'
import { HolderGrace } from './holder-grace.ts'
import { LinkService, type ServedServer } from './link-service.ts'
import type { Holder } from './local-server.ts'
import { ServedUpstream } from './served-upstream.ts'

export interface UpstreamServiceDeps {
  /** The replicas that run here; undefined for an id that is unknown or has another epoch. */
  readonly replicas: {
    find(replica: { readonly id: string; readonly epoch: number }): ServedServer | undefined
  }
  /** Whether calls may be executed: false after a pause in which others may have taken over. */
  mayServe(): boolean
  /** How long what a session has here outlives its link, ms. */
  readonly linkGraceMs: number
  readonly clock: Clock
  readonly log: Logger
}

/** A worker's replicas for its coordinators: any number of links may use the same upstreams. */
export class UpstreamService {
  readonly #deps: UpstreamServiceDeps
  readonly #served = new WeakMap<Upstream, ServedUpstream>()
  readonly #grace: HolderGrace
  #lastToken = 0

  constructor(deps: UpstreamServiceDeps) {
    this.#deps = deps
    this.#grace = new HolderGrace({ ...deps, graceMs: deps.linkGraceMs })
  }

  /** Takes every packet of the link but control messages, until the link ends. */
  serve(link: Link): LinkHandler {
    return new LinkService({
      ...this.#deps,
      link,
      grace: this.#grace,
      served: (upstream, spec) => this.#servedBy(upstream, { server: spec.name, own: false }),
      nextToken: () => {
        this.#lastToken += 1
        return this.#lastToken
      },
    })
  }

  /** Who takes what the server says unasked: to be handed out by the replica's `ServerEvents.inbound`. */
  inbound(server: string, holder: Holder | undefined): InboundHandler {
    // A user's sessions may come over several coordinators, as everybody's do.
    const own = holder !== undefined && !isUserHolder(holder.id)
    let served: ServedUpstream | undefined
    return {
      opened: (upstream) => {
        served = this.#servedBy(upstream, { server, own })
      },
      request: (request, related) => served?.asked(request, related),
      notification: (notification, related) => served?.noted(notification, related),
    }
  }

  #servedBy(
    upstream: Upstream,
    facts: { readonly server: ServerSpec['name']; readonly own: boolean },
  ): ServedUpstream {
    const known = this.#served.get(upstream)
    if (known) return known
    const log = this.#deps.log.child({ server: facts.server })
    const served = new ServedUpstream({ ...facts, upstream, log })
    this.#served.set(upstream, served)
    return served
  }
}
