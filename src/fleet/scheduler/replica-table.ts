import type { ReplicaReport, ReplicaView } from '../../domain/cluster.ts'
import type { ServerSpec } from '../../domain/server-spec.ts'
import type { PlanReplica, ReplicaStage } from './plan-model.ts'

/** A replica with all that the leader knows of it. */
export interface ReplicaEntry extends PlanReplica {
  phase: PlanReplica['phase']
  stage: ReplicaStage
  failures: number
  error: string | undefined
  calls: number
  sessions: number
  /** What it was placed with; undefined for pinned ones and those found running. */
  readonly spec: ServerSpec | undefined
  /** On the monotonic clock. */
  runningSince: number | undefined
  drainingSince: number | undefined
}

export interface Observation {
  /** Servers of which something changed that matters to the plan or to balancing. */
  readonly changed: ReadonlySet<string>
  readonly started: readonly ReplicaEntry[]
  readonly failed: readonly ReplicaEntry[]
  readonly stopped: readonly ReplicaEntry[]
  readonly adopted: readonly ReplicaEntry[]
  /** The node does not run what it should. */
  readonly isBehind: boolean
}

export interface ObserveOptions {
  readonly node: string
  readonly reports: readonly ReplicaReport[]
  /** Managed replicas that nobody here knows are taken over. */
  readonly adopt: boolean
  /** On the monotonic clock. */
  readonly now: number
}

/** A run of this long counts as healthy: crashes before it are forgotten. */
const HEALTHY_AFTER_MS = 30_000

/** All replicas of the cluster, each under its id once. */
export class ReplicaTable {
  readonly #entries = new Map<string, ReplicaEntry>()
  readonly #byNode: Index = new Map()
  readonly #byServer: Index = new Map()

  get(id: string): ReplicaEntry | undefined {
    return this.#entries.get(id)
  }

  all(): readonly ReplicaEntry[] {
    return [...this.#entries.values()]
  }

  on(node: string): readonly ReplicaEntry[] {
    return [...(this.#byNode.get(node)?.values() ?? [])]
  }

  of(server: string): readonly ReplicaEntry[] {
    return [...(this.#byServer.get(server)?.values() ?? [])]
  }

  countOn(node: string): number {
    return this.#byNode.get(node)?.size ?? 0
  }

  /** Puts a replica in, in the place of any other of its id. */
  put(entry: ReplicaEntry): void {
    this.delete(entry.id)
    this.#entries.set(entry.id, entry)
    addTo(this.#byNode, entry.node, entry)
    addTo(this.#byServer, entry.server, entry)
  }

  delete(id: string): ReplicaEntry | undefined {
    const entry = this.#entries.get(id)
    if (!entry) return undefined
    this.#entries.delete(id)
    deleteFrom(this.#byNode, entry.node, id)
    deleteFrom(this.#byServer, entry.server, id)
    return entry
  }

  /** Takes in all that a node says it runs. */
  observe(options: ObserveOptions): Observation {
    return new Observing(this, options).take()
  }
}

type Index = Map<string, Map<string, ReplicaEntry>>

function addTo(index: Index, key: string, entry: ReplicaEntry): void {
  const own = index.get(key)
  if (own) own.set(entry.id, entry)
  else index.set(key, new Map([[entry.id, entry]]))
}

function deleteFrom(index: Index, key: string, id: string): void {
  const own = index.get(key)
  own?.delete(id)
  if (own?.size === 0) index.delete(key)
}

type Placed = Pick<ReplicaEntry, 'id' | 'epoch' | 'server' | 'node' | 'spec' | 'specHash' | 'createdAt'>

/** A managed replica of which its node has yet to be told. */
export function placed(parts: Placed): ReplicaEntry {
  return {
    ...parts,
    origin: 'managed',
    phase: 'pending',
    stage: 'active',
    failures: 0,
    error: undefined,
    calls: 0,
    sessions: 0,
    runningSince: undefined,
    drainingSince: undefined,
  }
}

export function viewOf(entry: ReplicaEntry): ReplicaView {
  const { id, epoch, server, origin, phase, error, createdAt, specHash, calls, sessions, node, stage } = entry
  return {
    id,
    epoch,
    server,
    origin,
    phase: stage === 'stopping' ? 'terminated' : phase,
    error,
    createdAt,
    specHash,
    calls,
    sessions,
    node,
    draining: stage !== 'active',
  }
}

/** One report of one node, against what the table says. */
class Observing {
  readonly #table: ReplicaTable
  readonly #options: ObserveOptions
  readonly #changed = new Set<string>()
  readonly #started: ReplicaEntry[] = []
  readonly #failed: ReplicaEntry[] = []
  readonly #stopped: ReplicaEntry[] = []
  readonly #adopted: ReplicaEntry[] = []
  readonly #seen = new Set<string>()
  #isBehind = false

  constructor(table: ReplicaTable, options: ObserveOptions) {
    this.#table = table
    this.#options = options
  }

  take(): Observation {
    for (const report of this.#options.reports) this.#one(report)
    for (const entry of this.#table.on(this.#options.node)) if (!this.#seen.has(entry.id)) this.#absent(entry)
    return {
      changed: this.#changed,
      started: this.#started,
      failed: this.#failed,
      stopped: this.#stopped,
      adopted: this.#adopted,
      isBehind: this.#isBehind,
    }
  }

  #one(report: ReplicaReport): void {
    const entry = this.#table.get(report.id)
    const isKnown = entry?.node === this.#options.node && entry.origin === report.origin
    if (isKnown && entry.epoch === report.epoch && entry.specHash === report.specHash)
      return this.#merge(entry, report)
    if (report.origin === 'pinned') {
      // A node speaks for itself only: another's replica of that name stays what it is.
      if (entry && !isKnown) return
      this.#insert(report)
    } else if (this.#options.adopt && (!entry || entry.epoch < report.epoch)) {
      this.#adopted.push(this.#insert(report))
    } else {
      this.#isBehind = true
    }
  }

  #insert(report: ReplicaReport): ReplicaEntry {
    const entry: ReplicaEntry = {
      ...report,
      node: this.#options.node,
      stage: 'active',
      failures: report.phase === 'error' ? 1 : 0,
      spec: undefined,
      runningSince: report.phase === 'running' ? this.#options.now : undefined,
      drainingSince: undefined,
    }
    this.#table.put(entry)
    this.#seen.add(entry.id)
    this.#changed.add(entry.server)
    if (entry.phase === 'running') this.#started.push(entry)
    return entry
  }

  #merge(entry: ReplicaEntry, report: ReplicaReport): void {
    this.#seen.add(entry.id)
    entry.calls = report.calls
    entry.sessions = report.sessions
    if (entry.stage === 'stopping') this.#isBehind = true
    if (entry.phase === report.phase && entry.error === report.error) return
    const before = entry.phase
    entry.phase = report.phase
    entry.error = report.error
    this.#changed.add(entry.server)
    if (before === report.phase) return
    if (report.phase === 'running') {
      entry.runningSince = this.#options.now
      this.#started.push(entry)
    } else if (report.phase === 'error') this.#crashed(entry)
  }

  #crashed(entry: ReplicaEntry): void {
    const ranForMs = entry.runningSince === undefined ? 0 : this.#options.now - entry.runningSince
    entry.failures = ranForMs >= HEALTHY_AFTER_MS ? 1 : entry.failures + 1
    entry.runningSince = undefined
    this.#failed.push(entry)
  }

  /** What the node does not name has stopped there, or has never begun. */
  #absent(entry: ReplicaEntry): void {
    const isOver = entry.origin === 'pinned' || entry.stage === 'stopping'
    if (!isOver) this.#isBehind = true
    // It was told of it after it had sent this report.
    if (!isOver && entry.phase === 'pending') return
    // It has run and is gone, as after a restart of the node: one that takes its place is another, and has nothing of what sessions had in it.
    this.#table.delete(entry.id)
    this.#stopped.push(entry)
    this.#changed.add(entry.server)
  }
}
