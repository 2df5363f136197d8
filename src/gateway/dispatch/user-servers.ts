import type { ServerSpec } from '../../domain/server-spec.ts'
import type { ClientIdentity, Upstream } from '../../upstream/upstream.ts'
import type { CallEvent, Holder, Servers } from './servers.ts'

export interface UserServersDeps {
  readonly servers: Servers
  /** How the hub introduces itself where it asks for all sessions of a user. */
  readonly identity: ClientIdentity
  spec(server: string): ServerSpec | undefined
  /** The id of any live session of the user. */
  anySessionOf(user: string): string | undefined
}

interface User {
  readonly holder: Holder
  /** Which servers each of the user's sessions has used. Of sessions that have used none, only those are here that keep it alive. */
  readonly sessions: Map<string, Set<string>>
}

/** Isolation `user`: all sessions of a user are one holder, which goes with the last of them. Other servers are passed through to. */
export class UserServers implements Servers {
  readonly #deps: UserServersDeps
  readonly #users = new Map<string, User>()
  /** The user of every session in `User.sessions`. */
  readonly #userOf = new Map<string, string>()

  constructor(deps: UserServersDeps) {
    this.#deps = deps
  }

  upstream(server: string, holder: Holder | undefined): Upstream | Promise<Upstream> {
    const user = this.userOf(server, holder)
    const { servers } = this.#deps
    if (!holder || user === undefined) return servers.upstream(server, holder)
    return servers.upstream(server, this.#enter(server, holder.id, user))
  }

  openUpstream(server: string, holder: Holder | undefined): Upstream | undefined {
    const user = this.userOf(server, holder)
    return this.#deps.servers.openUpstream(server, user === undefined ? holder : this.#holderOf(user))
  }

  sharedUpstreams(server: string, holder?: Holder): readonly Upstream[] {
    if (!this.#isPerUser(server)) return this.#deps.servers.sharedUpstreams(server)
    const open = holder && this.openUpstream(server, holder)
    return open ? [open] : []
  }

  observed(upstream: Upstream, event: CallEvent): void {
    this.#deps.servers.observed?.(upstream, event)
  }

  release(holderId: string): void {
    this.#deps.servers.release(holderId)
    const id = this.#userOf.get(holderId)
    const user = id === undefined ? undefined : this.#users.get(id)
    if (id === undefined || !user) return
    this.#userOf.delete(holderId)
    user.sessions.delete(holderId)
    if (user.sessions.size > 0) return
    // Another session may come to use it yet; it goes with that one then.
    const heir = this.#deps.anySessionOf(id)
    if (heir !== undefined) return this.#note(id, user, heir)
    this.#users.delete(id)
    this.#deps.servers.release(id)
  }

  /** Which user's the holder's upstream to this server is; undefined where it is not a user's. */
  userOf(server: string, holder: Pick<Holder, 'user'> | undefined): string | undefined {
    return this.#isPerUser(server) ? holder?.user : undefined
  }

  /** The sessions behind a holder that have used the server: those that a loss of its replica concerns. */
  sessionsOf(holderId: string, server: string): string[] {
    const user = this.#users.get(holderId)
    return user ? [...user.sessions].flatMap(([id, used]) => (used.has(server) ? [id] : [])) : [holderId]
  }

  holdersOf(sessionId: string): string[] {
    const user = this.#userOf.get(sessionId)
    return user === undefined ? [sessionId] : [sessionId, user]
  }

  /** `sessionsOf` for what is lost now: they are told once, and again only if they use what takes its place. */
  lost(holderId: string, server: string): string[] {
    const concerned = this.sessionsOf(holderId, server)
    for (const used of this.#users.get(holderId)?.sessions.values() ?? []) used.delete(server)
    return concerned
  }

  #isPerUser(server: string): boolean {
    return this.#deps.spec(server)?.isolation === 'user'
  }

  #enter(server: string, sessionId: string, id: string): Holder {
    const user = this.#users.get(id) ?? { holder: this.#newHolder(id), sessions: new Map() }
    this.#users.set(id, user)
    this.#note(id, user, sessionId)
    user.sessions.get(sessionId)?.add(server)
    return user.holder
  }

  #note(id: string, { sessions }: User, sessionId: string): void {
    if (sessions.has(sessionId)) return
    sessions.set(sessionId, new Set())
    this.#userOf.set(sessionId, id)
  }

  #holderOf(id: string): Holder {
    return this.#users.get(id)?.holder ?? this.#newHolder(id)
  }

  #newHolder(id: string): Holder {
    return { id, identity: this.#deps.identity }
  }
}
