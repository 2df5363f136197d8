import type { Assignment, ReplicaOrigin, ReplicaPhase, ReplicaReport } from '../../domain/cluster.ts'
import type { ServerSpec } from '../../domain/server-spec.ts'
import type { Logger } from '../../kernel/logger.ts'
import type { UpstreamFactory } from '../../upstream/upstream.ts'
import { sameProcess } from './local-fleet.ts'
import { LocalServer, type LocalServerDeps, type ServerEvents } from './local-server.ts'
import { type ReplicaState, troubleOf } from './replica-state.ts'

/** Which replica something is about: an id means nothing without its epoch. */
export interface ReplicaKey {
  readonly id: string
  readonly epoch: number
}

export interface ReplicaHostDeps extends Omit<LocalServerDeps, 'factory' | 'log' | 'events'> {
  readonly log: Logger
  factory(spec: ServerSpec): UpstreamFactory
  /** Who is told what happens in a replica. */
  events(replica: ReplicaKey): ServerEvents
  /** Something that `reports` tells has changed. */
  onChange(): void
  /** Names what matters to the process in a server's settings. */
  specHash(spec: ServerSpec): string
}

interface Hosted extends ReplicaKey {
  readonly origin: ReplicaOrigin
  readonly specHash: string
  readonly createdAt: number
  readonly server: LocalServer
}

/** The replicas that run on this node: those of its own settings, and those that a leader has placed here. */
export class ReplicaHost {
  readonly #deps: ReplicaHostDeps
  readonly #hosted = new Map<string, Hosted>()
  readonly #leaving = new Set<Promise<void>>()
  /** Those that are not wanted any more and finish their last calls. */
  readonly #draining = new Set<LocalServer>()
  #pinnedEpoch = 0
  #term = 0
  #revision = 0
  #closed = false

  constructor(deps: ReplicaHostDeps) {
    this.#deps = deps
  }

  /** Of the assignment in force. */
  get term(): number {
    return this.#term
  }

  get revision(): number {
    return this.#revision
  }

  /** Makes the pinned replicas those of `wanted`, by id. */
  pin(wanted: ReadonlyMap<string, ServerSpec>): void {
    for (const hosted of this.#of('pinned')) {
      const spec = wanted.get(hosted.id)
      if (!spec || !sameProcess(spec, hosted.server.spec)) this.#stop(hosted, { drain: true })
    }
    for (const [id, spec] of wanted)
      if (!this.#hosted.has(id))
        this.#start(
          { id, epoch: this.#nextPinnedEpoch(), spec, specHash: this.#deps.specHash(spec) },
          'pinned',
        )
  }

  /**
   * Makes the managed replicas those of the assignment. An older one than the last is void: it was under way while its coordinator
   * lost the lead, or overtook itself.
   */
  assign(term: number, revision: number, assignments: readonly Assignment[]): void {
    if (term < this.#term || (term === this.#term && revision < this.#revision)) return
    this.#term = term
    this.#revision = revision
    const wanted = new Map(assignments.map((each) => [each.id, each]))
    for (const hosted of this.#of('managed'))
      if (wanted.get(hosted.id)?.epoch !== hosted.epoch) this.#stop(hosted, { drain: true })
    for (const each of assignments) if (!this.#hosted.has(each.id)) this.#start(each, 'managed')
  }

  /** Ends all managed replicas at once: somebody else may start them from now on. */
  fence(): void {
    for (const hosted of this.#of('managed')) this.#stop(hosted, { drain: false })
  }

  find({ id, epoch }: ReplicaKey): LocalServer | undefined {
    const hosted = this.#hosted.get(id)
    return hosted?.epoch === epoch ? hosted.server : undefined
  }

  /** Starts a replica anew; calls in flight may finish. Returns whether it runs here. */
  reload(id: string): boolean {
    const hosted = this.#hosted.get(id)
    if (!hosted || this.#closed) return false
    this.#stop(hosted, { drain: true })
    const epoch = hosted.origin === 'pinned' ? this.#nextPinnedEpoch() : hosted.epoch
    this.#start({ ...hosted, epoch, spec: hosted.server.spec }, hosted.origin)
    return true
  }

  all(): readonly (ReplicaKey & { readonly server: LocalServer; readonly origin: ReplicaOrigin })[] {
    return [...this.#hosted.values()]
  }

  /** In flight, those of replicas that only finish what they have begun among them. */
  get calls(): number {
    let calls = 0
    for (const { server } of this.#hosted.values()) calls += server.load
    for (const server of this.#draining) calls += server.load
    return calls
  }

  reports(): readonly ReplicaReport[] {
    return [...this.#hosted.values()].map(({ id, epoch, origin, specHash, createdAt, server }) => {
      const { state } = server
      return {
        id,
        epoch,
        server: server.spec.name,
        origin,
        phase: phaseOf(state),
        error: troubleOf(state)?.message.slice(0, LONGEST_ERROR),
        createdAt,
        specHash,
        calls: server.load,
        sessions: server.sessionUpstreams,
      }
    })
  }

  async close(): Promise<void> {
    this.#closed = true
    const servers = [...this.#hosted.values()].map(({ server }) => server)
    this.#hosted.clear()
    await Promise.all([...servers, ...this.#draining].map((server) => server.stop({ drain: false })))
    await Promise.all(this.#leaving)
  }

  #of(origin: ReplicaOrigin): Hosted[] {
    return [...this.#hosted.values()].filter((hosted) => hosted.origin === origin)
  }

  /** Grows with each start, over restarts of this process too: a process that was started anew has lost what sessions had in it. */
  #nextPinnedEpoch(): number {
    this.#pinnedEpoch = Math.max(this.#pinnedEpoch + 1, Math.floor(this.#deps.clock.now()))
    return this.#pinnedEpoch
  }

  #start({ id, epoch, spec, specHash }: Assignment, origin: ReplicaOrigin): void {
    if (this.#closed) return
    const { clock, events, onChange, ...deps } = this.#deps
    const log = deps.log.child({ server: spec.name, replica: id })
    const told = events({ id, epoch })
    const server = new LocalServer(spec, {
      ...deps,
      clock,
      log,
      factory: deps.factory(spec),
      events: {
        ...told,
        stateChanged: (name) => {
          told.stateChanged(name)
          onChange()
        },
      },
    })
    this.#hosted.set(id, { id, epoch, origin, specHash, createdAt: clock.now(), server })
    server.start()
    onChange()
  }

  #stop(hosted: Hosted, { drain }: { drain: boolean }): void {
    const { server } = hosted
    this.#hosted.delete(hosted.id)
    this.#draining.add(server)
    const leaving: Promise<void> = server
      .stop({ drain })
      .catch((error: unknown) =>
        this.#deps.log.error({ err: error, replica: hosted.id }, 'a replica did not stop cleanly'),
      )
      .finally(() => {
        this.#draining.delete(server)
        this.#leaving.delete(leaving)
      })
    this.#leaving.add(leaving)
    this.#deps.onChange()
  }
}

/** Error texts of servers have no end by themselves. */
const LONGEST_ERROR = 1_000

/** A replica that sleeps until the next call is ready to serve. */
function phaseOf(state: ReplicaState): ReplicaPhase {
  switch (state.kind) {
    case 'asleep':
      return 'running'
    case 'failed':
      return 'error'
    default:
      return state.kind
  }
}
