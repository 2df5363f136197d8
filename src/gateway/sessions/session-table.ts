import { HubError, hubStopping } from '../../domain/errors.ts'
import type { Clock, Timer } from '../../kernel/clock.ts'
import type { Session } from './session.ts'

export interface SessionTableDeps {
  readonly clock: Clock
  /** How long a session may be silent, ms; asked anew at each look. */
  timeoutMs(): number
  readonly maxSessions: number
  /** A session has left the table, for whatever reason. */
  onEnd(session: Session): void
}

/** All sessions of this node. */
export class SessionTable {
  readonly #deps: SessionTableDeps
  readonly #sessions = new Map<string, Session>()
  readonly #sweeper: Timer

  constructor(deps: SessionTableDeps) {
    this.#deps = deps
    this.#sweeper = deps.clock.every(SWEEP_MS, () => this.sweep())
  }

  get size(): number {
    return this.#sessions.size
  }

  all(): MapIterator<Session> {
    return this.#sessions.values()
  }

  get(id: string): Session | undefined {
    return this.#sessions.get(id)
  }

  /**
   * The session of a request, marked as alive.
   * @throws HubError `session.unknown` for an id that is unknown, has expired or is somebody else's
   */
  require(id: string, principalId: string): Session {
    const session = this.#sessions.get(id)
    if (session?.principal.id !== principalId) throw unknownSession()
    session.lastSeen = this.#deps.clock.monotonic()
    return session
  }

  /** @throws HubError `session.limit` when the table is full */
  add(session: Session): void {
    this.ensureRoom()
    this.#sessions.set(session.id, session)
  }

  /** @throws HubError `session.limit` when the table is full */
  ensureRoom(): void {
    if (this.#sessions.size < this.#deps.maxSessions) return
    throw new HubError('session.limit', `The hub holds its maximum of ${this.#deps.maxSessions} sessions.`, {
      retryAfter: 30,
      cure: 'End sessions that are no longer used (HTTP DELETE), or try again later.',
    })
  }

  end(session: Session, reason: HubError): void {
    if (!this.#sessions.delete(session.id)) return
    session.ended = reason
    this.#deps.onEnd(session)
    session.stream.end()
  }

  /** Ends sessions that have been silent for too long, and lets the others forget what nobody will ask for. */
  sweep(): void {
    const now = this.#deps.clock.monotonic()
    const timeout = this.#deps.timeoutMs()
    for (const session of this.#sessions.values()) {
      if (session.busy || session.stream.attached) session.lastSeen = now
      if (now - session.lastSeen >= timeout) this.end(session, unknownSession())
      else session.stream.trim(now)
    }
  }

  close(): void {
    this.#sweeper.stop()
    const reason = hubStopping()
    for (const session of [...this.#sessions.values()]) this.end(session, reason)
  }
}

const SWEEP_MS = 5_000

export function unknownSession(): HubError {
  return new HubError('session.unknown', 'This session is unknown or has expired.', {
    cure: 'Start a new one: send initialize without an Mcp-Session-Id header.',
  })
}
