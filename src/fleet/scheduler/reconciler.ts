import type { Assignment, NodeView, ReplicaReport, ReplicaView } from '../../domain/cluster.ts'
import { HubError } from '../../domain/errors.ts'
import type { ServerSpec } from '../../domain/server-spec.ts'
import type { Timer } from '../../kernel/clock.ts'
import { Goals, type Scaled } from './goals.ts'
import {
  drainNews,
  newsOfCreation,
  nodeDrainedNews,
  observationNews,
  removeNews,
  scaledNews,
} from './news.ts'
import { plan } from './plan.ts'
import type { Creation, Plan, RemoveReason } from './plan-model.ts'
import type { ReconcilerDeps } from './reconciler-deps.ts'
import { type Observation, placed, type ReplicaEntry, ReplicaTable, viewOf } from './replica-table.ts'

export { DEFAULT_RECONCILER_TIMINGS, type ReconcilerDeps, type ReconcilerTimings } from './reconciler-deps.ts'

/** A node that does not run what it should is told again, but not more often than this. */
const TELL_AGAIN_MS = 1_000
/** So many placements have a term: see `#nextEpoch`. */
const EPOCHS_PER_TERM = 2 ** 20

/** Looks at what runs, plans, and tells the nodes, again and again: a message that was lost is made up for by the next look. */
export class Reconciler {
  readonly #deps: ReconcilerDeps
  readonly #table = new ReplicaTable()
  readonly #goals = new Goals()
  readonly #timers: Timer[] = []
  /** When each node was last told its assignment. */
  readonly #toldAt = new Map<string, number>()
  /** Nodes that have told what they run. */
  readonly #heard = new Set<string>()
  readonly #short = new Map<string, string>()
  readonly #drainedNodes = new Set<string>()
  #pending: Timer | undefined
  #isSettled = false
  #isClosed = false
  #revision = 0
  #epoch: number

  constructor(deps: ReconcilerDeps) {
    this.#deps = deps
    this.#epoch = deps.term * EPOCHS_PER_TERM
  }

  start(): void {
    const { clock, timings } = this.#deps
    if (timings.startGraceMs <= 0 || this.#areAllBack()) this.#settle()
    else this.#timers.push(clock.after(timings.startGraceMs, () => this.#settle()))
    this.#timers.push(
      clock.every(timings.planIntervalMs, () => this.#reconcile()),
      clock.every(timings.lookIntervalMs, () => this.#look()),
    )
  }

  /** Plans no more. What runs goes on. */
  close(): void {
    this.#isClosed = true
    for (const timer of this.#timers.splice(0)) timer.stop()
    this.#pending?.stop()
  }

  /** Puts new settings in force. */
  apply(specs: ReadonlyMap<string, ServerSpec>): void {
    for (const scaled of this.#goals.apply(specs, this.#deps.clock.monotonic())) this.#tellScaled(scaled)
    for (const name of this.#short.keys()) if (!this.#goals.has(name)) this.#short.delete(name)
    this.#schedule()
  }

  /** A node says what it runs: each time all of it. */
  observe(node: string, reports: readonly ReplicaReport[]): void {
    const now = this.#deps.clock.monotonic()
    this.#heard.add(node)
    const known = this.#known(reports)
    const seen = this.#table.observe({ node, reports: known, adopt: !this.#isSettled, now })
    this.#takeNews(seen)
    const mustTell = !this.#toldAt.has(node) || seen.isBehind || known.length < reports.length
    if (this.#isSettled && mustTell) this.#tellAgain(node, now)
    if (!this.#isSettled && this.#areAllBack()) this.#settle()
  }

  /** A node's link is up: it is told its assignment when it has said what it runs. */
  linked(node: string): void {
    this.#toldAt.delete(node)
  }

  /** Tells a node once more what it is to run, whatever it was told before. */
  retell(node: string): void {
    if (this.#isSettled) this.#tell(node)
  }

  /** Nodes have come, gone, or changed their state. */
  nodesChanged(): void {
    this.#schedule()
  }

  /** A call has come for a server that has no replica. Starts one where autoscaling lets it have none. */
  woken(server: string): void {
    this.#goals.wake(server)
    this.#followLoad()
  }

  /**
   * Replaces the managed replicas of a server one after another.
   * @throws HubError `resource.missing`
   */
  restart(server: string): void {
    if (!this.#goals.has(server)) {
      throw new HubError('resource.missing', `Server "${server}" has no replicas that could be restarted.`, {
        data: { server },
        cure: 'It is not among the enabled servers of the settings.',
      })
    }
    this.#goals.renew(server, this.#nextEpoch())
    this.#schedule()
  }

  /** Of the assignment that was sent last. */
  get revision(): number {
    return this.#revision
  }

  /** What a node is to run. */
  assignmentsOf(node: string): readonly Assignment[] {
    return this.#table.on(node).flatMap((entry): Assignment[] => {
      if (entry.origin === 'pinned' || entry.stage === 'stopping') return []
      const spec = entry.spec ?? this.#goals.spec(entry.server)
      return spec ? [{ id: entry.id, epoch: entry.epoch, specHash: entry.specHash, spec }] : []
    })
  }

  /** The settings that a managed replica was placed with; undefined for pinned ones and those found running. */
  placedWith(id: string): ServerSpec | undefined {
    return this.#table.get(id)?.spec
  }

  views(): readonly ReplicaView[] {
    return this.#table.all().map(viewOf)
  }

  viewsOf(server: string): readonly ReplicaView[] {
    return this.#table.of(server).map(viewOf)
  }

  replicasOn(node: string): number {
    return this.#table.countOn(node)
  }

  /** How many replicas a server is to have; undefined for one that is not among the settings. */
  desired(server: string): number | undefined {
    return this.#goals.desired(server)
  }

  /** Why a server has fewer replicas than it should, as a sentence. */
  shortage(server: string): string | undefined {
    return this.#short.get(server)
  }

  #areAllBack(): boolean {
    return this.#deps.expectedNodes?.every((node) => this.#heard.has(node)) ?? false
  }

  /** The grace is over: what was found running stays, and the rest is placed. */
  #settle(): void {
    if (this.#isSettled || this.#isClosed) return
    this.#isSettled = true
    const running = new Map<string, number>()
    for (const { server } of this.#table.all()) running.set(server, (running.get(server) ?? 0) + 1)
    this.#goals.adopt(running, this.#deps.clock.monotonic())
    this.#reconcile()
    for (const node of this.#heard) if (!this.#toldAt.has(node)) this.#tell(node)
  }

  #schedule(): void {
    if (this.#pending || !this.#isSettled || this.#isClosed) return
    this.#pending = this.#deps.clock.after(this.#deps.timings.debounceMs, () => this.#reconcile())
  }

  #reconcile(): void {
    this.#pending?.stop()
    this.#pending = undefined
    if (!this.#isSettled || this.#isClosed) return
    const nodes = this.#deps.nodes()
    const made = plan({
      nodes,
      runsServers: this.#deps.runsServers,
      goals: this.#goals.list(this.#deps.clock.monotonic()),
      replicas: this.#table.all(),
    })
    this.#act(made)
    this.#tellShort(made)
    this.#tellDrained(nodes)
    this.#forget(new Set(nodes.map(({ id }) => id)))
  }

  /** Nodes that have left the list. */
  #forget(known: ReadonlySet<string>): void {
    for (const node of this.#toldAt.keys()) if (!known.has(node)) this.#toldAt.delete(node)
    for (const node of this.#heard) if (!known.has(node)) this.#heard.delete(node)
    for (const node of this.#drainedNodes) if (!known.has(node)) this.#drainedNodes.delete(node)
  }

  #act(made: Plan): void {
    const touched = new Set<string>()
    const changed = new Set<string>()
    const touch = (entry: ReplicaEntry | undefined) => {
      if (!entry) return
      touched.add(entry.node)
      changed.add(entry.server)
    }
    for (const { id, reason } of made.remove) touch(this.#remove(id, reason))
    for (const { id, reason } of made.drain) touch(this.#drain(id, reason))
    for (const id of made.restore) touch(this.#restore(id))
    for (const id of made.lost) touch(this.#lose(id))
    for (const creation of made.create) touch(this.#create(creation))
    if (changed.size === 0) return
    const { create, drain, remove, restore } = made
    this.#deps.log.debug(
      { create: create.length, drain: drain.length, remove: remove.length, restore: restore.length },
      'the plan asks for changes',
    )
    for (const node of touched) this.#tell(node)
    this.#deps.changed(changed)
    this.#schedule()
  }

  #create({ id, server, node, reason }: Creation): ReplicaEntry | undefined {
    const spec = this.#goals.spec(server)
    const goalHash = this.#goals.specHash(server)
    if (!spec || goalHash === undefined) return undefined
    const createdAt = this.#deps.clock.now()
    const entry = placed({ id, epoch: this.#nextEpoch(), server, node, spec, specHash: goalHash, createdAt })
    const before = this.#table.get(id)
    this.#table.put(entry)
    this.#deps.news(newsOfCreation(entry, reason, before?.node))
    return entry
  }

  #remove(id: string, reason: RemoveReason): ReplicaEntry | undefined {
    const entry = this.#table.get(id)
    if (!entry) return undefined
    if (reason === 'gone') this.#table.delete(id)
    else entry.stage = 'stopping'
    if (reason === 'crashing') this.#goals.avoid(entry.server, entry.node, this.#deps.clock.monotonic())
    this.#deps.news(removeNews(entry, reason))
    return entry
  }

  #drain(id: string, reason: Plan['drain'][number]['reason']): ReplicaEntry | undefined {
    const entry = this.#table.get(id)
    if (!entry) return undefined
    entry.stage = 'draining'
    entry.drainingSince = this.#deps.clock.monotonic()
    this.#deps.news(drainNews(entry, reason))
    return entry
  }

  #restore(id: string): ReplicaEntry | undefined {
    const entry = this.#table.get(id)
    if (entry) entry.stage = 'active'
    return entry
  }

  /** Its node is gone, and no other takes it: it is told as stopped until one does. */
  #lose(id: string): ReplicaEntry | undefined {
    const entry = this.#table.get(id)
    if (!entry || entry.phase === 'stopped') return undefined
    entry.phase = 'stopped'
    entry.error = 'Its node is offline.'
    entry.calls = 0
    entry.sessions = 0
    return entry
  }

  /** Grows with each placement, across restarts too, since each leader has a term of its own. */
  #nextEpoch(): number {
    this.#epoch += 1
    return this.#epoch
  }

  /** Without those that cannot be: placed by a leader that comes after this one. */
  #known(reports: readonly ReplicaReport[]): readonly ReplicaReport[] {
    const end = (this.#deps.term + 1) * EPOCHS_PER_TERM
    const known = reports.filter(({ epoch }) => epoch < end)
    for (const { epoch } of known) if (epoch > this.#epoch) this.#epoch = epoch
    return known
  }

  #takeNews(seen: Observation): void {
    for (const news of observationNews(seen)) this.#deps.news(news)
    if (seen.changed.size === 0) return
    this.#deps.changed(seen.changed)
    this.#schedule()
  }

  #tellAgain(node: string, now: number): void {
    const toldAt = this.#toldAt.get(node)
    if (toldAt === undefined || now - toldAt >= TELL_AGAIN_MS) this.#tell(node)
  }

  #tell(node: string): void {
    this.#toldAt.set(node, this.#deps.clock.monotonic())
    this.#revision += 1
    this.#deps.assign(node, this.#revision, this.assignmentsOf(node))
  }

  #look(): void {
    if (!this.#isSettled) return
    this.#followLoad()
    const now = this.#deps.clock.monotonic()
    for (const entry of this.#table.all())
      if (entry.stage === 'draining' && entry.origin === 'managed') this.#endIfDrained(entry, now)
  }

  #endIfDrained(entry: ReplicaEntry, now: number): void {
    const isDrained = this.#deps.drained(viewOf(entry))
    const isLate = now - (entry.drainingSince ?? now) >= this.#deps.timings.drainLimitMs
    if (!isDrained && !isLate) return
    entry.stage = 'stopping'
    this.#deps.news(removeNews(entry, isDrained ? 'drained' : 'late'))
    this.#tell(entry.node)
    this.#deps.changed(new Set([entry.server]))
    this.#schedule()
  }

  #followLoad(): void {
    const now = this.#deps.clock.monotonic()
    const scaled = this.#goals.followLoad({ now, calls: (server) => this.#deps.calls(server) })
    for (const each of scaled) this.#tellScaled(each)
    if (scaled.length > 0) this.#schedule()
  }

  #tellScaled(scaled: Scaled): void {
    this.#deps.log.info({ ...scaled }, 'a server is to have another number of replicas')
    this.#deps.news(scaledNews(scaled))
    this.#deps.changed(new Set([scaled.server]))
  }

  #tellShort({ short }: Plan): void {
    const now = new Map(short.map(({ server, reason }) => [server, reason]))
    for (const [server, reason] of now) {
      if (!this.#short.has(server)) {
        this.#deps.log.warn({ server, reason }, 'a replica cannot be placed')
        this.#deps.news({ kind: 'failed', server, text: reason })
      }
      this.#short.set(server, reason)
    }
    for (const server of this.#short.keys()) if (!now.has(server)) this.#short.delete(server)
  }

  /** Says once of a draining node that nothing keeps it any more. */
  #tellDrained(nodes: readonly NodeView[]): void {
    for (const { id, draining } of nodes) {
      if (!draining) this.#drainedNodes.delete(id)
      else if (!this.#drainedNodes.has(id) && this.#table.on(id).every(isOver)) {
        this.#drainedNodes.add(id)
        this.#deps.news(nodeDrainedNews(id))
      }
    }
  }
}

/** Pinned replicas end with their node only. */
function isOver({ origin, stage }: ReplicaEntry): boolean {
  return origin === 'pinned' && stage === 'draining'
}
