import type { ServerSpec } from '../domain/server-spec.ts'
import type { Holder, Servers } from '../gateway/dispatch/servers.ts'
import type { SharedState } from '../gateway/dispatch/shared-state.ts'
import type { Session } from '../gateway/sessions/session.ts'
import type { Logger } from '../kernel/logger.ts'
import type { TaskGroup } from '../kernel/task-group.ts'
import type { Upstream } from '../upstream/upstream.ts'

export interface UpkeepDeps {
  readonly shared: SharedState
  readonly servers: Servers
  readonly tasks: TaskGroup
  readonly log: Logger
  spec(server: string): ServerSpec | undefined
}

/** Sees to it that each replica of a shared server knows what the sessions want that use it. */
export class Upkeep {
  readonly #deps: UpkeepDeps

  constructor(deps: UpkeepDeps) {
    this.#deps = deps
  }

  /** A replica is up (again). Sessions that use none are told of by each. */
  up(server: string, upstream: Upstream): void {
    this.#restore(server, upstream, (session) => {
      const used = this.#deps.servers.openUpstream(server, session)
      return used === undefined || used === upstream
    })
  }

  /** What a user's sessions share is up (again). */
  userUp(server: string, user: Holder): void {
    const upstream = this.#deps.servers.openUpstream(server, user)
    if (upstream) this.#restore(server, upstream, () => true, user.id)
  }

  /** A session uses this replica from now on. */
  bound(session: Session, server: string, upstream: Upstream): void {
    if (this.#deps.shared.concerns(server, session))
      this.#restore(server, upstream, (other) => other === session)
  }

  /** A session has lost its replica: one that only listens makes no call that would lead it to another. */
  lost(session: Session, server: string): void {
    const { shared, servers, tasks, log } = this.#deps
    if (!shared.concerns(server, session)) return
    tasks.run(`attach to ${server}`, async () => {
      try {
        await servers.upstream(server, session)
      } catch (error) {
        // Where none is up now, the next one that comes up is told.
        log.debug({ server, err: error }, 'a session that listens has no replica for now')
      }
    })
  }

  #restore(server: string, upstream: Upstream, uses: (session: Session) => boolean, user?: string): void {
    const { shared, tasks, log } = this.#deps
    const spec = this.#deps.spec(server)
    if (!spec) return
    tasks.run(`restore ${server}`, async () => {
      const told = await Promise.allSettled(
        shared.restore(server, { upstream, limits: spec.call, user }, uses),
      )
      for (const outcome of told)
        if (outcome.status === 'rejected')
          log.warn({ server, err: outcome.reason }, 'a subscription or log level could not be restored')
    })
  }
}
