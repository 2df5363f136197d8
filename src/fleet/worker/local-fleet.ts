import { HubError } from '../../domain/errors.ts'
import type { ServerSpec } from '../../domain/server-spec.ts'
import type { Logger } from '../../kernel/logger.ts'
import type { Upstream, UpstreamFactory } from '../../upstream/upstream.ts'
import { type Holder, LocalServer, type LocalServerDeps } from './local-server.ts'
import type { ReplicaState } from './replica-state.ts'

export interface LocalFleetDeps extends Omit<LocalServerDeps, 'factory' | 'log'> {
  readonly log: Logger
  factory(spec: ServerSpec): UpstreamFactory
}

/** What can be told of one server, for people. */
export interface ServerReport {
  readonly spec: ServerSpec
  readonly state: ReplicaState
  readonly sessionUpstreams: number
  /** The last lines on stderr, oldest first. */
  readonly stderr: readonly string[]
}

/** All servers that run on this node. */
export class LocalFleet {
  readonly #deps: LocalFleetDeps
  readonly #servers = new Map<string, LocalServer>()
  readonly #retiring = new Set<Promise<void>>()
  /** Servers that were replaced or removed and finish their last calls. */
  readonly #draining = new Set<LocalServer>()
  #closed = false

  constructor(deps: LocalFleetDeps) {
    this.#deps = deps
  }

  /** Makes the running servers equal to `specs`: exactly those that differ are started, stopped or replaced. */
  apply(specs: ReadonlyMap<string, ServerSpec>): void {
    if (this.#closed) return
    for (const [name, running] of this.#servers) {
      const wanted = specs.get(name)
      if (wanted?.enabled && sameProcess(wanted, running.spec)) continue
      this.#servers.delete(name)
      this.#retire(running)
    }
    for (const spec of specs.values()) if (spec.enabled && !this.#servers.has(spec.name)) this.#start(spec)
  }

  /** Puts a fresh one in the place of a server, whose calls in flight may finish. Returns whether it runs here. */
  reload(name: string): boolean {
    const running = this.#servers.get(name)
    if (!running || this.#closed) return false
    this.#servers.delete(name)
    this.#retire(running)
    this.#start(running.spec)
    return true
  }

  #start(spec: ServerSpec): void {
    const log = this.#deps.log.child({ server: spec.name })
    const server = new LocalServer(spec, { ...this.#deps, log, factory: this.#deps.factory(spec) })
    this.#servers.set(spec.name, server)
    server.start()
  }

  /**
   * The upstream to `server`: the holder's own where it is isolated, else the shared one.
   * @throws HubError `server.unavailable`
   */
  upstream(server: string, holder: Holder | undefined): Upstream | Promise<Upstream> {
    const found = this.#servers.get(server)
    if (found) return found.upstream(holder)
    throw new HubError('server.unavailable', `Server "${server}" does not run here.`, {
      data: { server },
      cure: 'It was removed or disabled in the settings.',
    })
  }

  /** The upstream if it is open already; nothing is started for it. */
  openUpstream(server: string, holder: Holder | undefined): Upstream | undefined {
    return this.#servers.get(server)?.openUpstream(holder)
  }

  /** The shared upstream, if it is open. */
  sharedUpstreams(server: string): readonly Upstream[] {
    const open = this.openUpstream(server, undefined)
    return open ? [open] : []
  }

  /** A holder is gone: its own upstreams go. */
  release(holderId: string): void {
    for (const server of this.#servers.values())
      if (server.sessionUpstreams > 0) this.#track(server.release(holderId))
  }

  report(server: string): ServerReport | undefined {
    const found = this.#servers.get(server)
    return (
      found && {
        spec: found.spec,
        state: found.state,
        sessionUpstreams: found.sessionUpstreams,
        stderr: found.stderr(),
      }
    )
  }

  async close(): Promise<void> {
    this.#closed = true
    const servers = [...this.#servers.values(), ...this.#draining]
    this.#servers.clear()
    await Promise.all(servers.map((server) => server.stop({ drain: false })))
    await Promise.all(this.#retiring)
  }

  #retire(server: LocalServer): void {
    this.#draining.add(server)
    this.#track(server.stop({ drain: true }).finally(() => this.#draining.delete(server)))
  }

  #track(work: Promise<void>): void {
    const tracked: Promise<void> = work
      .catch((error: unknown) => this.#deps.log.error({ err: error }, 'a server did not stop cleanly'))
      .finally(() => this.#retiring.delete(tracked))
    this.#retiring.add(tracked)
  }
}

/** Whether a running server may go on under the new settings: descriptions and overrides do not concern its process. */
export function sameProcess(a: ServerSpec, b: ServerSpec): boolean {
  const essence = ({ transport, isolation, startOnDemand, idleTimeoutMs }: ServerSpec) =>
    JSON.stringify([transport, isolation, startOnDemand, idleTimeoutMs])
  return essence(a) === essence(b)
}
