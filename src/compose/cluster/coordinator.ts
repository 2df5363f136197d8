import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { NodeFacts, NodeState, ReplicaReport } from '../../domain/cluster.ts'
import type { ClusterSettings } from '../../domain/cluster-settings.ts'
import { HubError } from '../../domain/errors.ts'
import type { HubSettings } from '../../domain/server-spec.ts'
import { LinkAcceptor } from '../../fleet/link/accept.ts'
import {
  CONTROL_KIND,
  encodeControl,
  readToCoordinator,
  type ToCoordinator,
  type ToWorker,
} from '../../fleet/link/control.ts'
import { CONTROL_LANE, type Link, type LinkHandler } from '../../fleet/link/link.ts'
import { RemoteUpstreams } from '../../fleet/link/remote-upstreams.ts'
import { toWire } from '../../fleet/link/spec-wire.ts'
import { EventLog } from '../../fleet/membership/event-log.ts'
import { httpProbe } from '../../fleet/membership/http-probe.ts'
import { LoadMeter } from '../../fleet/membership/machine-load.ts'
import { Membership } from '../../fleet/membership/membership.ts'
import { Prober } from '../../fleet/membership/prober.ts'
import type { Reconciler } from '../../fleet/scheduler/reconciler.ts'
import type { ReplicaHost } from '../../fleet/worker/replica-host.ts'
import type { ReplicatedServers } from '../../gateway/balancing/replicated-servers.ts'
import type { Clock, Timer } from '../../kernel/clock.ts'
import type { Logger } from '../../kernel/logger.ts'
import type { Random } from '../../kernel/random.ts'
import { TaskGroup } from '../../kernel/task-group.ts'
import type { MakeFleet, RunningDeps } from '../fleet.ts'
import { tokensOf } from './facts.ts'
import type { ClusterMemory } from './memory.ts'
import { makeParts, type Parts } from './parts.ts'
import { PinnedServers } from './pinned.ts'

export interface CoordinatorOptions {
  readonly settings: ClusterSettings
  readonly self: NodeFacts
  readonly term: number
  readonly memory: ClusterMemory
  /** Workers bring other servers along than before: the settings in force need another look. */
  onPinned(): void
}

export interface CoordinatorDeps {
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
}

/** Changes of what runs here that come together are looked at together, ms. */
const CHANGE_DELAY_MS = 10

interface Tie {
  readonly link: Link
  readonly upstreams: RemoteUpstreams
  joined: boolean
  /** It has said that it is about to end. `cordoned`: what the operator had said of it before. */
  leaving: { readonly cordoned: boolean; readonly draining: boolean } | undefined
  /** Of the assignment that it was sent, and of the one that it has confirmed. */
  sent: number
  confirmed: number | undefined
}

/** The coordinator of a cluster: who belongs to it, what runs where, and the links to all of them. */
export class Coordinator {
  readonly settings: ClusterSettings
  readonly self: NodeFacts
  readonly term: number
  readonly events: EventLog
  readonly membership: Membership
  /** See `Parts`. */
  readonly expectedNodes: readonly string[] | undefined
  readonly #startedAt: number
  readonly #options: CoordinatorOptions
  readonly #deps: CoordinatorDeps
  readonly #acceptor: LinkAcceptor
  readonly #tasks: TaskGroup
  readonly #prober: Prober
  readonly #probe: ReturnType<typeof httpProbe>
  readonly #meter = new LoadMeter()
  readonly #ties = new Map<string, Tie>()
  readonly #pinned: PinnedServers
  #own: HubSettings | undefined
  #parts: Parts | undefined
  #localChange: Timer | undefined
  #beating: Timer | undefined

  constructor(options: CoordinatorOptions, deps: CoordinatorDeps) {
    const { settings, self } = options
    const { clock, log } = deps
    this.settings = settings
    this.self = self
    this.term = options.term
    this.expectedNodes = options.memory.last.nodes
    this.#startedAt = clock.monotonic()
    this.#options = options
    this.#deps = deps
    this.#tasks = new TaskGroup(log)
    this.#pinned = new PinnedServers(log)
    this.events = new EventLog(clock)
    this.membership = new Membership({
      clock,
      log,
      events: this.events,
      timings: settings,
      self: self.id,
      flags: options.memory.last.flags,
      replicasOn: (node) => this.#parts?.reconciler.replicasOn(node) ?? 0,
      onChange: (node, state) => this.#nodeChanged(node, state),
    })
    const tokens = tokensOf(settings)
    this.#acceptor = new LinkAcceptor({
      ...deps,
      tokens: () => tokens,
      self: () => self,
      onLink: (link) => this.#linked(link),
      clientCertificates: settings.tls?.mutual ?? false,
    })
    // Workers are probed without TLS: where the links have it, the token must not go beside them in the clear. Nor must one
    // that has come in with a token of before be told the new one.
    const shown = settings.tls || settings.oldTokens.length > 0 ? undefined : settings.token
    this.#probe = httpProbe({ clock, log, token: () => shown })
    this.#prober = new Prober({
      clock,
      tasks: this.#tasks,
      probe: this.#probe.probe,
      doubtful: () => this.membership.doubtful(),
      probed: (id, isOk) => this.membership.probed(id, isOk),
    })
  }

  get reconciler(): Reconciler {
    return this.#made.reconciler
  }

  get servers(): ReplicatedServers {
    return this.#made.servers
  }

  /** Of the assignments that nodes were sent, and have confirmed. */
  get assignments(): readonly {
    readonly id: string
    readonly sent: number
    readonly confirmed: number | undefined
  }[] {
    return [...this.#ties].map(([id, { sent, confirmed }]) => ({ id, sent, confirmed }))
  }

  /** Makes the fleet of the hub; once. */
  readonly fleet = (running: RunningDeps): MakeFleet => {
    return (listener) => {
      this.#parts = makeParts(
        this,
        { running, listener, ...this.#deps },
        {
          assign: (node, revision, assignments) => this.#assign(node, revision, assignments),
          reload: (node, replica) => this.#reload(node, replica),
          hostChanged: () => this.#hostChanged(),
        },
      )
      return this.#parts.fleet
    }
  }

  start(): void {
    const { reconciler } = this.#made
    this.membership.start()
    this.membership.join(this.self, 0)
    this.#prober.start()
    this.#beating = this.#deps.clock.every(this.settings.heartbeatIntervalMs, () => this.#beatSelf())
    this.#beatSelf()
    reconciler.start()
    this.#hostChanged()
    this.#deps.log.info({ node: this.self.id, term: this.term }, 'Cluster coordinator started (Master mode)')
  }

  /** The settings as clients see them, and as they are put into force: with the servers that workers bring along. */
  effective(settings: HubSettings): HubSettings {
    this.#own = settings
    this.#parts?.reconciler.apply(settings.servers)
    return this.#pinned.addTo(settings)
  }

  /** The names of servers that the settings themselves have. */
  owns(server: string): boolean {
    return this.#own?.servers.has(server) ?? false
  }

  isLinked(node: string): boolean {
    return this.#ties.has(node)
  }

  handles(request: IncomingMessage): boolean {
    return this.#acceptor.handles(request)
  }

  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    this.#acceptor.upgrade(request, socket, head)
  }

  /** Tells every node once more what it is to run. */
  sync(): void {
    for (const node of this.#ties.keys()) this.#made.reconciler.retell(node)
  }

  /** Does something to the nodes, and resolves when it would outlive this process. */
  async kept(change: () => void): Promise<void> {
    change()
    this.#remember()
    await this.#options.memory.written()
  }

  async close(): Promise<void> {
    this.#localChange?.stop()
    this.#beating?.stop()
    this.#prober.close()
    this.membership.close()
    this.#parts?.reconciler.close()
    this.#acceptor.close()
    await this.#tasks.close()
    await this.#probe.close()
    await this.#options.memory.written()
  }

  get #made(): Parts {
    if (!this.#parts) throw new HubError('internal', 'The coordinator was used before its fleet was made.')
    return this.#parts
  }

  #linked(link: Link): LinkHandler {
    const node = link.peer.id
    if (node === this.self.id) throw sameId(node)
    const upstreams = new RemoteUpstreams({ link, ...this.#deps })
    const tie: Tie = { link, upstreams, joined: false, leaving: undefined, sent: 0, confirmed: undefined }
    this.#ties.set(node, tie)
    void link.closed.then((reason) => this.#unlinked(tie, reason))
    return {
      packet: (packet) => {
        if (packet[0] !== CONTROL_KIND) upstreams.packet(packet)
        else this.#control(tie, readToCoordinator(packet))
      },
    }
  }

  #unlinked(tie: Tie, reason: HubError): void {
    const node = tie.link.peer.id
    this.#made.fleet.unlinked(node, tie.upstreams)
    if (this.#ties.get(node) !== tie) {
      // It has come back over a newer link, which says so itself if it still leaves.
      if (tie.leaving) this.#forgetLeaving(tie.leaving, node)
      return
    }
    this.#ties.delete(node)
    this.#deps.log.warn({ node, reason: reason.message }, 'the link to a node has ended')
    this.membership.linkDown(node)
    if (!tie.leaving) return
    this.membership.leaving(node)
    this.#forgetLeaving(tie.leaving, node)
  }

  /** A node was drained because it left; when it comes back, it is as the operator wants it. */
  #forgetLeaving({ cordoned, draining }: NonNullable<Tie['leaving']>, node: string): void {
    if (draining || !this.membership.view(node)) return
    this.membership.uncordon(node)
    if (cordoned) this.membership.cordon(node)
  }

  #control(tie: Tie, message: ToCoordinator): void {
    switch (message.type) {
      case 'pinned':
        return this.#pinnedBy(tie, message.specs)
      case 'beat':
        return this.#beat(tie, message)
      case 'leaving':
        return this.#leaves(tie)
    }
  }

  /** What runs there is started elsewhere before it goes. */
  #leaves(tie: Tie): void {
    const view = this.membership.view(tie.link.peer.id)
    if (!view || tie.leaving) return
    tie.leaving = { cordoned: view.cordoned, draining: view.draining }
    this.membership.drain(view.id)
  }

  #pinnedBy(tie: Tie, wire: Extract<ToCoordinator, { type: 'pinned' }>['specs']): void {
    const { peer } = tie.link
    if (!tie.joined) {
      this.membership.join(peer, wire.length)
      tie.joined = true
      this.membership.linkUp(peer.id)
      this.#made.reconciler.linked(peer.id)
      this.#made.fleet.linked(peer.id, tie.upstreams)
    }
    if (this.#pinned.set(peer.id, wire)) this.#options.onPinned()
  }

  #beat(tie: Tie, { seq, revision, term, load, replicas }: Extract<ToCoordinator, { type: 'beat' }>): void {
    const { id } = tie.link.peer
    const { heartbeatIntervalMs, heartbeatTimeoutMs } = this.settings
    if (!this.membership.beat(id, load)) return tie.link.close(joinAnew())
    if (term === this.term) tie.confirmed = revision
    this.#tell(tie, { type: 'ack', seq, intervalMs: heartbeatIntervalMs, leaseMs: heartbeatTimeoutMs })
    const reports: readonly ReplicaReport[] = replicas.map((each) => ({ ...each, error: each.error }))
    this.#made.reconciler.observe(id, reports)
    this.#made.fleet.reported(id, reports)
  }

  #assign(node: string, revision: number, assignments: Parameters<ReplicaHost['assign']>[2]): void {
    if (node === this.self.id) return this.#made.host.assign(this.term, revision, assignments)
    const tie = this.#ties.get(node)
    if (!tie?.joined) return
    tie.sent = revision
    const replicas = assignments.map((each) => ({ ...each, spec: toWire(each.spec) }))
    this.#tell(tie, { type: 'assign', term: this.term, revision, replicas })
  }

  #reload(node: string, replica: string): boolean {
    const tie = this.#ties.get(node)
    if (tie?.joined) this.#tell(tie, { type: 'reload', replica })
    return tie?.joined ?? false
  }

  #tell({ link }: Tie, message: ToWorker): void {
    link.send(CONTROL_LANE, encodeControl(message))
  }

  #nodeChanged(node: string, state: NodeState | 'removed'): void {
    this.#remember()
    if (!this.#parts) return
    const { fleet, reconciler } = this.#parts
    fleet.nodeChanged(node, state)
    reconciler.nodesChanged()
    if (state === 'offline') this.#ties.get(node)?.link.close(silent(node))
    if (state === 'removed' && this.#pinned.remove(node)) this.#options.onPinned()
  }

  #remember(): void {
    const { membership, settings, self, expectedNodes = [] } = this
    const nodes = membership.views().filter(({ id, state }) => id !== self.id && state !== 'offline')
    // What runs on a node that has not come back yet, only the end of its lease ends.
    const isEarly = this.#deps.clock.monotonic() - this.#startedAt < settings.heartbeatTimeoutMs
    const flags = new Map(membership.flags)
    // That a node drains because it is about to end is no word of the operator.
    for (const [id, { leaving }] of this.#ties) {
      if (leaving?.cordoned || leaving?.draining) flags.set(id, leaving)
      else if (leaving) flags.delete(id)
    }
    this.#options.memory.save(
      // One that has no link is not told to run anything.
      [
        ...nodes.filter(({ maxServers }) => maxServers !== 0).map(({ id }) => id),
        ...(isEarly ? expectedNodes : []),
      ],
      flags,
    )
  }

  #hostChanged(): void {
    this.#localChange ??= this.#deps.clock.after(CHANGE_DELAY_MS, () => {
      this.#localChange = undefined
      const { host, reconciler, fleet } = this.#made
      const reports = host.reports()
      reconciler.observe(this.self.id, reports)
      // What the table had before the host had it can be reached now.
      fleet.refresh(new Set(reports.map(({ server }) => server)))
    })
  }

  #beatSelf(): void {
    this.#tasks.run('heartbeat', async () => {
      const load = await this.#meter.sample(this.#made.host.calls)
      this.membership.beat(this.self.id, load)
      this.#made.reconciler.observe(this.self.id, this.#made.host.reports())
    })
  }
}

function sameId(node: string): HubError {
  return new HubError('node.duplicate', `A worker calls itself "${node}", as this coordinator does.`, {
    cure: 'Give each node an id of its own (CLUSTER_NODE_ID), and a data folder of its own.',
  })
}

function joinAnew(): HubError {
  return new HubError('link.lost', 'The node counts as gone: it must join anew.')
}

function silent(node: string): HubError {
  return new HubError('link.lost', `Node "${node}" has been silent for too long.`)
}
