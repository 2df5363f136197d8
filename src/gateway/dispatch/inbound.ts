import type { Logger } from '../../kernel/logger.ts'
import { encodeNotification, type RpcNotification } from '../../mcp/json-rpc.ts'
import { NOTIFICATION, reachesLevel } from '../../mcp/methods.ts'
import type { Related, Upstream } from '../../upstream/upstream.ts'
import type { ListKind } from '../catalog/listing.ts'
import type { Session } from '../sessions/session.ts'
import { type Asks, send } from './asks.ts'
import { type Attribution, attribute } from './attribution.ts'
import type { Servers } from './servers.ts'
import type { SharedState } from './shared-state.ts'
import type { Traffic } from './traffic.ts'

interface InboundDeps {
  readonly asks: Asks
  readonly traffic: Traffic
  readonly shared: SharedState
  readonly servers: Pick<Servers, 'openUpstream'>
  readonly log: Logger
  /** A server's lists have changed. */
  listChanged(server: string, upstream: Upstream, kinds: readonly ListKind[]): void
  sessions(): Iterable<Session>
}

/** A notification and where it came from. `owner` is the session that has this upstream for itself, `user` the id of the user who has. */
export interface Arrival {
  readonly server: string
  readonly upstream: Upstream
  readonly owner: Session | undefined
  readonly user?: string | undefined
  readonly related: Related
}

const CHANGED_LISTS: ReadonlyMap<string, readonly ListKind[]> = new Map([
  [NOTIFICATION.toolsChanged, ['tools']],
  [NOTIFICATION.promptsChanged, ['prompts']],
  [NOTIFICATION.resourcesChanged, ['resources', 'templates']],
])

/** Sends what servers say unasked to those whom it concerns, and to nobody else. */
export class Inbound {
  readonly #deps: InboundDeps

  constructor(deps: InboundDeps) {
    this.#deps = deps
  }

  notification(notification: RpcNotification, arrival: Arrival): void {
    const lists = CHANGED_LISTS.get(notification.method)
    if (lists) return this.#listsChanged(notification, arrival, lists)
    switch (notification.method) {
      case NOTIFICATION.cancelled:
        return this.#deps.asks.withdrawn(arrival.upstream, notification, this.#deps.sessions())
      case NOTIFICATION.elicitationComplete:
        if (arrival.owner) return this.#other(notification, arrival)
        return this.#deps.asks.elicitationComplete(arrival.server, arrival.upstream, notification)
      case NOTIFICATION.resourceUpdated:
        return this.#updated(notification, arrival)
      case NOTIFICATION.message:
        return this.#logged(notification, arrival)
      default:
        return this.#other(notification, arrival)
    }
  }

  #listsChanged(notification: RpcNotification, arrival: Arrival, lists: readonly ListKind[]): void {
    // What one session's own server shows is that session's business only.
    if (arrival.owner) arrival.owner.stream.hint(notification.method)
    else if (arrival.user !== undefined) this.#hintUser(arrival.user, notification.method)
    else this.#deps.listChanged(arrival.server, arrival.upstream, lists)
  }

  #hintUser(user: string, method: string): void {
    for (const session of this.#deps.sessions()) if (session.user === user) session.stream.hint(method)
  }

  #updated(notification: RpcNotification, { server, upstream, owner, user }: Arrival): void {
    const uri = notification.params?.['uri']
    const bytes = encodeNotification(notification.method, notification.body)
    if (owner) owner.stream.unrelated(bytes)
    else if (typeof uri === 'string')
      for (const session of new Set(this.#deps.shared.subscribers(server, uri, user)))
        if (this.#hears(session, server, upstream)) session.stream.unrelated(bytes)
  }

  /** What several replicas say alike, a session hears from the one that it uses. */
  #hears(session: Session, server: string, upstream: Upstream): boolean {
    const used = this.#deps.servers.openUpstream(server, session)
    return used === undefined || used === upstream
  }

  #logged(notification: RpcNotification, arrival: Arrival): void {
    const bytes = encodeNotification(notification.method, notification.body)
    const level = notification.params?.['level']
    const found = this.#attribute(arrival)
    if (arrival.owner) return send(arrival.owner, found.kind === 'one' ? found.call : undefined, bytes)
    if (found.kind === 'one') {
      const { session } = found.call
      if (reachesLevel(level, this.#threshold(session, arrival.server))) send(session, found.call, bytes)
    } else if (found.kind === 'none') {
      for (const session of this.#deps.shared.listeners(arrival.server, arrival.user))
        if (
          session.logLevel &&
          reachesLevel(level, session.logLevel) &&
          this.#hears(session, arrival.server, arrival.upstream)
        )
          session.stream.unrelated(bytes)
    } else {
      // It belongs to one of several clients, or to a call that is over: showing it to anybody else would be a leak.
      this.#deps.log.debug({ server: arrival.server }, 'a log message could not be attributed to one client')
    }
  }

  /** A session that set no level gets what the server sends by itself, not what another session asked for. */
  #threshold(session: Session, server: string): NonNullable<Session['logLevel']> {
    const { shared } = this.#deps
    return session.logLevel ?? (shared.level(server, shared.userOf(server, session)) ? 'info' : 'debug')
  }

  #other(notification: RpcNotification, arrival: Arrival): void {
    const found = this.#attribute(arrival)
    const call = found.kind === 'one' ? found.call : undefined
    const session = arrival.owner ?? call?.session
    if (session) send(session, call, encodeNotification(notification.method, notification.body))
    else
      this.#deps.log.debug(
        { server: arrival.server, method: notification.method },
        'a notification concerns nobody',
      )
  }

  /** The call behind a message: told by the transport, or the only one that there can be. */
  #attribute({ upstream, related }: Arrival): Attribution {
    const { traffic } = this.#deps
    if (related === undefined) return attribute(traffic.of(upstream))
    const call = related === 'gone' ? undefined : traffic.find(upstream, related)
    return call && !call.over ? { kind: 'one', call } : { kind: 'over' }
  }
}
