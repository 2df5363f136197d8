import { HubError } from '../../domain/errors.ts'
import { jsonBytes } from '../../mcp/json-rpc.ts'
import { type LoggingLevel, METHOD, mostVerbose } from '../../mcp/methods.ts'
import type { CallTimes, Upstream } from '../../upstream/upstream.ts'
import type { Session } from '../sessions/session.ts'

interface ServerState {
  /** Sessions by the URI that they subscribed to. */
  readonly subscribers: Map<string, Set<Session>>
  readonly levels: Map<Session, LoggingLevel>
}

const MAX_SUBSCRIPTIONS = 1_000

function tooManySubscriptions(): HubError {
  return new HubError('session.limit', `A session may subscribe to ${MAX_SUBSCRIPTIONS} resources at most.`, {
    data: { limit: MAX_SUBSCRIPTIONS },
    cure: 'Unsubscribe from what is no longer needed (resources/unsubscribe).',
  })
}

/**
 * What sessions have set on servers that they share: subscriptions and log levels. The server is told the union, once;
 * each session gets its own part. After a restart the server is told again. Under isolation `user` only sessions of one user share, and
 * `user` says of whom something is asked; elsewhere it is undefined.
 */
export class SharedState {
  /** Which user's upstream a session uses, where upstreams are users'. */
  readonly userOf: (server: string, session: Session) => string | undefined
  readonly #servers = new Map<string, ServerState>()
  readonly #subscriptions = new WeakMap<Session, number>()

  constructor(userOf: (server: string, session: Session) => string | undefined = () => undefined) {
    this.userOf = userOf
  }

  /** @throws HubError `session.limit` when the session has more subscriptions than any client needs */
  subscribe(server: string, uri: string, session: Session): void {
    const { subscribers } = this.#state(server)
    const sessions = subscribers.get(uri)
    if (sessions?.has(session)) return
    const count = this.#subscriptions.get(session) ?? 0
    if (count >= MAX_SUBSCRIPTIONS) throw tooManySubscriptions()
    this.#subscriptions.set(session, count + 1)
    if (sessions) sessions.add(session)
    else subscribers.set(uri, new Set([session]))
  }

  /** Returns whether nobody is left, so that the server may be told. */
  unsubscribe(server: string, uri: string, session: Session): boolean {
    const { subscribers } = this.#state(server)
    const sessions = subscribers.get(uri)
    if (sessions?.delete(session))
      this.#subscriptions.set(session, (this.#subscriptions.get(session) ?? 1) - 1)
    if (!sessions || sessions.size === 0) subscribers.delete(uri)
    return !this.#isShared(server, session, sessions)
  }

  /** Who wants to hear of `uri`: an update may name a part of what was subscribed to (server/resources). */
  *subscribers(server: string, uri: string, user?: string): Iterable<Session> {
    for (const [subscribed, sessions] of this.#servers.get(server)?.subscribers ?? [])
      if (uri === subscribed || uri.startsWith(`${subscribed}/`)) yield* this.#of(server, user, sessions)
  }

  setLevel(server: string, session: Session, level: LoggingLevel): void {
    this.#state(server).levels.set(session, level)
  }

  /** The level that the server must send so that every session gets what it asked for. */
  level(server: string, user?: string): LoggingLevel | undefined {
    const levels = this.#servers.get(server)?.levels
    return (
      levels &&
      mostVerbose([...this.#of(server, user, levels.keys())].flatMap((one) => levels.get(one) ?? []))
    )
  }

  /** Sessions that set a level on this server. */
  listeners(server: string, user?: string): Iterable<Session> {
    return this.#of(server, user, this.#servers.get(server)?.levels.keys() ?? [])
  }

  /**
   * Forgets the session on all servers but those that it keeps; returns what nobody else holds, and where the level may
   * have changed.
   */
  drop(
    session: Session,
    keeps: (server: string) => boolean = () => false,
  ): { orphaned: { server: string; uri: string }[]; relevelled: string[] } {
    const orphaned: { server: string; uri: string }[] = []
    const relevelled: string[] = []
    for (const [server, { subscribers, levels }] of this.#servers) {
      if (keeps(server)) continue
      if (levels.delete(session)) relevelled.push(server)
      for (const [uri, sessions] of subscribers) {
        if (!sessions.delete(session)) continue
        this.#subscriptions.set(session, (this.#subscriptions.get(session) ?? 1) - 1)
        if (sessions.size === 0) subscribers.delete(uri)
        if (this.#isShared(server, session, sessions)) continue
        orphaned.push({ server, uri })
      }
    }
    return { orphaned, relevelled }
  }

  /** Whether the session has set anything on the server. */
  concerns(server: string, session: Session): boolean {
    const state = this.#servers.get(server)
    if (!state) return false
    if (state.levels.has(session)) return true
    for (const sessions of state.subscribers.values()) if (sessions.has(session)) return true
    return false
  }

  /**
   * Tells a replica that has just come (back) up, or that sessions have moved to, what those sessions want for which `uses` says yes. The
   * log level is one for all replicas. The caller awaits the answers.
   */
  restore(
    server: string,
    { upstream, limits, user }: { upstream: Upstream; limits: CallTimes; user?: string | undefined },
    uses: (session: Session) => boolean = () => true,
  ): Promise<unknown>[] {
    const told: Promise<unknown>[] = []
    const level = 'logging' in upstream.hello.capabilities ? this.level(server, user) : undefined
    const tell = (method: string, params: unknown) =>
      told.push(upstream.request({ method, params: jsonBytes(params), limits }).answer)
    if (level) tell(METHOD.setLevel, { level })
    for (const [uri, sessions] of this.#servers.get(server)?.subscribers ?? [])
      if ([...this.#of(server, user, sessions)].some(uses)) tell(METHOD.subscribe, { uri })
    return told
  }

  *#of(server: string, user: string | undefined, sessions: Iterable<Session>): Iterable<Session> {
    for (const session of sessions) if (this.userOf(server, session) === user) yield session
  }

  /** Whether any of `others` shares the server's upstream with the session. */
  #isShared(server: string, session: Session, others: Iterable<Session> = []): boolean {
    const user = this.userOf(server, session)
    for (const _ of this.#of(server, user, others)) return true
    return false
  }

  #state(server: string): ServerState {
    const state = this.#servers.get(server) ?? { subscribers: new Map(), levels: new Map() }
    this.#servers.set(server, state)
    return state
  }
}
