import type { Assignment, NodeState, ReplicaReport, ReplicaView } from '../../domain/cluster.ts'
import type { ServerSpec } from '../../domain/server-spec.ts'
import { RemoteServer, type RemoteServerDeps } from '../../fleet/link/remote-server.ts'
import type { RemoteUpstreams } from '../../fleet/link/remote-upstreams.ts'
import type { Reconciler } from '../../fleet/scheduler/reconciler.ts'
import type { ServerReport } from '../../fleet/worker/local-fleet.ts'
import type { ReplicaHost } from '../../fleet/worker/replica-host.ts'
import type { ReplicatedServers } from '../../gateway/balancing/replicated-servers.ts'
import type { CallEvent, Holder } from '../../gateway/dispatch/servers.ts'
import type { Upstream } from '../../upstream/upstream.ts'
import type { Fleet } from '../fleet.ts'
import { Handle } from './handles.ts'

export interface ClusterFleetDeps extends RemoteServerDeps {
  /** The id of this coordinator. */
  readonly self: string
  readonly reconciler: Reconciler
  /** What this coordinator runs itself. */
  readonly host: ReplicaHost
  readonly servers: ReplicatedServers
  /** Of a node, for balancing. */
  weightOf(node: string): number
  /** Has a node start a pinned replica anew; returns whether it could be told. */
  reload(node: string, replica: string): boolean
}

interface Known {
  readonly handle: Handle
  /** Of one on another node. */
  readonly remote: RemoteServer | undefined
  /** What was last said of it. */
  view: ReplicaView
}

/** Which of a server's replicas speaks for it, best first. */
const RANK = ['running', 'asleep', 'starting', 'pending', 'failed', 'terminated'] as const

/** The servers of a cluster: every replica that any node runs, and the one that answers a call. */
export class ClusterFleet implements Fleet {
  readonly #deps: ClusterFleetDeps
  readonly #links = new Map<string, RemoteUpstreams>()
  /** By server, then by id and epoch. */
  readonly #known = new Map<string, Map<string, Known>>()
  /** Nodes that are not online. */
  readonly #doubtful = new Set<string>()
  #specs: ReadonlyMap<string, ServerSpec> = new Map()

  constructor(deps: ClusterFleetDeps) {
    this.#deps = deps
  }

  /** @param specs all servers that clients may see, those that only workers' own settings have among them */
  apply(specs: ReadonlyMap<string, ServerSpec>): void {
    const { servers } = this.#deps
    for (const name of this.#specs.keys()) if (!specs.get(name)?.enabled) servers.remove(name)
    this.#specs = specs
    for (const spec of specs.values()) if (spec.enabled) this.#put(spec)
    this.refresh(new Set([...specs.keys(), ...this.#known.keys()]))
  }

  /** Replicas of these servers have changed: brings what calls can reach in line with the table. */
  refresh(servers: Iterable<string>): void {
    for (const server of servers) this.#sync(server, this.#deps.reconciler.viewsOf(server))
  }

  /** A node has said what it runs. */
  reported(node: string, reports: readonly ReplicaReport[]): void {
    for (const report of reports) {
      const remote = this.#known.get(report.server)?.get(keyOf(report))?.remote
      if (remote?.node === node) remote.update(report)
    }
  }

  linked(node: string, link: RemoteUpstreams): void {
    this.#links.set(node, link)
    for (const remote of this.#on(node)) remote.linked(link)
  }

  unlinked(node: string, link: RemoteUpstreams): void {
    if (this.#links.get(node) === link) this.#links.delete(node)
  }

  /** A node is another than it was: calls that wait for it look again. */
  nodeChanged(node: string, state: NodeState | 'removed'): void {
    if (state === 'online' || state === 'removed') this.#doubtful.delete(node)
    else this.#doubtful.add(node)
    for (const [server, known] of this.#known)
      if ([...known.values()].some(({ handle }) => handle.node === node)) this.#deps.servers.changed(server)
  }

  upstream(server: string, holder: Holder | undefined): Upstream | Promise<Upstream> {
    return this.#deps.servers.upstream(server, holder)
  }

  openUpstream(server: string, holder: Holder | undefined): Upstream | undefined {
    return this.#deps.servers.openUpstream(server, holder)
  }

  sharedUpstreams(server: string): readonly Upstream[] {
    return this.#deps.servers.sharedUpstreams(server)
  }

  observed(upstream: Upstream, event: CallEvent): void {
    this.#deps.servers.observed(upstream, event)
  }

  release(holderId: string): void {
    this.#deps.servers.release(holderId)
  }

  reload(server: string): boolean {
    const known = this.#known.get(server)
    if (!known || known.size === 0) return false
    const { reconciler, reload } = this.#deps
    const pinned = reconciler.viewsOf(server).filter(({ origin }) => origin === 'pinned')
    const told = pinned.filter(({ node, id }) => reload(node, id))
    if (reconciler.desired(server) === undefined) return told.length > 0
    reconciler.restart(server)
    return true
  }

  report(server: string): ServerReport | undefined {
    const spec = this.#specs.get(server)
    if (!spec?.enabled) return undefined
    const replicas = [...(this.#known.get(server)?.values() ?? [])].map(({ handle }) => handle.running)
    const [best] = replicas.sort((a, b) => RANK.indexOf(a.state.kind) - RANK.indexOf(b.state.kind))
    return {
      spec,
      state: best?.state ?? { kind: 'pending' },
      sessionUpstreams: replicas.reduce((sum, { sessionUpstreams }) => sum + sessionUpstreams, 0),
      stderr: best?.stderr() ?? [],
    }
  }

  async close(): Promise<void> {
    const { servers, host } = this.#deps
    servers.close()
    for (const known of this.#known.values()) for (const { remote } of known.values()) remote?.close()
    await host.close()
  }

  *#on(node: string): Iterable<RemoteServer> {
    for (const known of this.#known.values())
      for (const { remote } of known.values()) if (remote?.node === node) yield remote
  }

  #sync(server: string, views: readonly ReplicaView[]): void {
    const known = this.#known.get(server) ?? new Map<string, Known>()
    this.#known.set(server, known)
    const wanted = new Map(views.map((view) => [keyOf(view), view]))
    let differs = false
    for (const [key, each] of known) {
      const view = wanted.get(key)
      const { remote } = each
      if (view && !(remote && this.#isOutdated(view, remote))) {
        each.view = view
        continue
      }
      known.delete(key)
      remote?.close()
      differs = true
    }
    for (const view of views) {
      if (known.has(keyOf(view))) continue
      const made = this.#make(view)
      if (!made) continue
      known.set(keyOf(view), made)
      differs = true
    }
    if (known.size === 0) this.#known.delete(server)
    const spec = this.#specs.get(server)
    if (spec?.enabled && differs) this.#put(spec)
    else this.#deps.servers.changed(server)
  }

  /** A node's settings may come to be known after what it runs under them. How upstreams are shared must be known to both sides. */
  #isOutdated({ origin, server }: ReplicaView, { spec }: RemoteServer): boolean {
    const now = origin === 'pinned' ? this.#specs.get(server) : undefined
    return now !== undefined && now.isolation !== spec.isolation
  }

  #put(spec: ServerSpec): void {
    const known = this.#known.get(spec.name)?.values() ?? []
    this.#deps.servers.put(
      spec,
      [...known].map(({ handle }) => handle),
    )
  }

  #make(view: ReplicaView): Known | undefined {
    return view.node === this.#deps.self ? this.#makeLocal(view) : this.#makeRemote(view)
  }

  /** Undefined until the host has it. */
  #makeLocal(view: ReplicaView): Known | undefined {
    const running = this.#deps.host.find(view)
    if (!running) return undefined
    return this.#knownAs(view, { running, remote: undefined })
  }

  #makeRemote(view: ReplicaView): Known | undefined {
    // Clients may see the new settings before, or after, a replica is placed with them.
    const spec = this.#deps.reconciler.placedWith(view.id) ?? this.#specs.get(view.server)
    if (!spec) return undefined
    const remote = new RemoteServer({ ...view, spec }, this.#deps)
    const link = this.#links.get(view.node)
    remote.update(view)
    if (link) remote.linked(link)
    return this.#knownAs(view, { running: remote, remote })
  }

  #knownAs(view: ReplicaView, { running, remote }: Pick<Known, 'remote'> & Pick<Handle, 'running'>): Known {
    const { id, epoch, node, createdAt } = view
    const handle = new Handle(
      { id, epoch, node, createdAt, weight: this.#deps.weightOf(node) },
      {
        running,
        isAway: () => remote !== undefined && (!remote.isLinked || this.#doubtful.has(node)),
        isDraining: () => known.view.draining,
      },
    )
    const known: Known = { handle, remote, view }
    return known
  }
}

/** An epoch holds no space, so that no two keys are the same. */
function keyOf({ id, epoch }: Pick<Assignment, 'id' | 'epoch'>): string {
  return `${id} ${epoch}`
}
