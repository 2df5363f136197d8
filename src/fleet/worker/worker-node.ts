import type { NodeLoad } from '../../domain/cluster.ts'
import { HubError } from '../../domain/errors.ts'
import type { ServerSpec } from '../../domain/server-spec.ts'
import type { Clock, Timer } from '../../kernel/clock.ts'
import type { Logger } from '../../kernel/logger.ts'
import {
  CONTROL_KIND,
  encodeControl,
  readToWorker,
  type ToCoordinator,
  type ToWorker,
} from '../link/control.ts'
import { CONTROL_LANE, type Link, type LinkHandler } from '../link/link.ts'
import { fromWire, toWireWithoutSecrets } from '../link/spec-wire.ts'
import { withLastWords } from './last-words.ts'
import type { ReplicaHost } from './replica-host.ts'

export interface WorkerNodeDeps {
  readonly host: ReplicaHost
  /** Serves calls that come over a link. */
  serve(link: Link): LinkHandler
  load(): NodeLoad
  /** The first `longest` characters of a text, without secrets. */
  harmless(text: string, longest: number): string
  /** A coordinator's own, and its lease, count where they are shorter. */
  readonly heartbeatIntervalMs: number
  /** Without an acknowledged beat for this long, the managed replicas end: somebody else is about to start them. */
  readonly leaseMs: number
  readonly clock: Clock
  readonly log: Logger
}

/** Changes that come together are told together. */
const CHANGE_DELAY_MS = 20
/** So often the lease is looked at within its length. */
const LOOKS_PER_LEASE = 20
/**
 * A link on which so many looks in a row have found a beat unanswered is given up, so that another can be made before the lease is over. Looks
 * are counted and not time, so that a pause of this process is not held against the coordinator.
 */
const UNANSWERED_LOOKS = 14

interface Times {
  readonly intervalMs: number
  readonly leaseMs: number
}

interface Tie {
  readonly link: Link
  readonly calls: LinkHandler
  lastSeq: number
  /** When each beat was sent that is not acknowledged yet, monotonic. */
  readonly sent: Map<number, number>
  unansweredLooks: number
}

/**
 * A worker among its coordinators: says that it lives and what it runs, runs what it is told to, and stops that by itself when nobody
 * has acknowledged it for the length of its lease.
 */
export class WorkerNode {
  readonly #deps: WorkerNodeDeps
  readonly #ties = new Map<Link, Tie>()
  #timers: readonly Timer[] = []
  #times: Times
  #leaving = false
  #pinned: readonly ServerSpec[] = []
  #change: Timer | undefined
  /** Until when managed replicas may run, monotonic; undefined before the first acknowledgement. */
  #leaseUntil: number | undefined
  #answeredAt: number | undefined

  constructor(deps: WorkerNodeDeps) {
    this.#deps = deps
    this.#times = { intervalMs: deps.heartbeatIntervalMs, leaseMs: deps.leaseMs }
    this.#run()
  }

  /** Whether any coordinator is linked. */
  get linked(): boolean {
    return this.#ties.size > 0
  }

  /** How long ago a coordinator has acknowledged a beat, ms; undefined before the first time. */
  get heartbeatAgeMs(): number | undefined {
    return this.#answeredAt === undefined ? undefined : this.#deps.clock.monotonic() - this.#answeredAt
  }

  /** Whether what comes over links may be done: false after a pause in which others may have taken over. */
  get mayServe(): boolean {
    return !this.#isOver()
  }

  /** Whether managed replicas may be used: false after a pause in which others may have taken over. */
  get holdsLease(): boolean {
    return this.#leaseUntil !== undefined && this.#deps.clock.monotonic() <= this.#leaseUntil
  }

  /** To be given to a new link; sends what its coordinator must know. */
  attach(link: Link): LinkHandler {
    const tie: Tie = { link, calls: this.#deps.serve(link), lastSeq: 0, sent: new Map(), unansweredLooks: 0 }
    this.#ties.set(link, tie)
    void link.closed.then(() => this.#ties.delete(link))
    this.#tell(tie, this.#pinnedMessage())
    this.#beat(tie)
    if (this.#leaving) this.#tell(tie, { type: 'leaving' })
    return { packet: (packet) => this.#packet(tie, packet) }
  }

  /** What this node runs of its own will, by the id of the replica. */
  pin(replicas: ReadonlyMap<string, ServerSpec>): void {
    const byName = new Map([...replicas.values()].map((spec) => [spec.name, spec]))
    this.#pinned = [...byName.values()]
    this.#deps.host.pin(replicas)
    for (const tie of this.#ties.values()) this.#tell(tie, this.#pinnedMessage())
    this.changed()
  }

  /** Something has changed in what runs here: coordinators hear of it soon, and not only with the next beat. */
  changed(): void {
    this.#change ??= this.#deps.clock.after(CHANGE_DELAY_MS, () => {
      this.#change = undefined
      this.#beatAll()
    })
  }

  /** Says goodbye: what ran here may be started elsewhere at once. */
  leave(): void {
    this.#leaving = true
    for (const tie of this.#ties.values()) this.#tell(tie, { type: 'leaving' })
  }

  close(): void {
    for (const timer of this.#timers) timer.stop()
    this.#change?.stop()
  }

  #run(): void {
    const { clock } = this.#deps
    const { intervalMs, leaseMs } = this.#times
    for (const timer of this.#timers) timer.stop()
    this.#timers = [
      clock.every(intervalMs, () => this.#beatAll()),
      clock.every(leaseMs / LOOKS_PER_LEASE, () => this.#watchLease()),
    ]
  }

  /** A coordinator that gives nodes up sooner than this one knew starts their replicas elsewhere sooner, too. */
  #keepTo({ intervalMs, leaseMs }: Omit<Extract<ToWorker, { type: 'ack' }>, 'seq'>): void {
    const before = this.#times
    const times = {
      intervalMs: Math.min(before.intervalMs, intervalMs ?? before.intervalMs),
      leaseMs: Math.min(before.leaseMs, leaseMs ?? before.leaseMs),
    }
    if (times.intervalMs === before.intervalMs && times.leaseMs === before.leaseMs) return
    this.#times = times
    this.#run()
    this.#deps.log.info(
      { ...times },
      'the heartbeat times of the coordinator are shorter than those set here: they count',
    )
  }

  #pinnedMessage(): ToCoordinator {
    return { type: 'pinned', specs: this.#pinned.map(toWireWithoutSecrets) }
  }

  #beatAll(): void {
    for (const tie of this.#ties.values()) this.#beat(tie)
  }

  #beat(tie: Tie): void {
    const { host, load, clock } = this.#deps
    tie.lastSeq += 1
    tie.sent.set(tie.lastSeq, clock.monotonic())
    this.#tell(tie, {
      type: 'beat',
      seq: tie.lastSeq,
      term: host.term,
      revision: host.revision,
      load: load(),
      replicas: withLastWords(host.reports(), this.#deps),
    })
  }

  #tell({ link }: Tie, message: ToCoordinator): void {
    link.send(CONTROL_LANE, encodeControl(message))
  }

  #packet(tie: Tie, packet: Buffer): void {
    // After a pause this has waited in the socket, and what it asks for may be somebody else's by now.
    if (this.#isOver()) return this.#expire()
    if (packet[0] !== CONTROL_KIND) return tie.calls.packet(packet)
    const message = readToWorker(packet)
    if (message.type === 'ack') return this.#acknowledged(tie, message)
    if (message.type === 'reload') return this.#reload(message.replica)
    const { term, revision, replicas } = message
    this.#deps.host.assign(
      term,
      revision,
      replicas.map((each) => ({ ...each, spec: fromWire(each.spec) })),
    )
    this.changed()
  }

  #reload(id: string): void {
    const { host, log } = this.#deps
    const isPinned = host.all().some((replica) => replica.id === id && replica.origin === 'pinned')
    if (isPinned && host.reload(id))
      log.info({ replica: id }, 'a replica is started anew: the coordinator asks for it')
    else
      log.warn(
        { replica: id },
        'the coordinator asks for a new start of a replica that this node has not pinned',
      )
  }

  /** The lease counts from when the beat was sent: its coordinator cannot have heard it before. */
  #acknowledged(tie: Tie, { seq, ...times }: Extract<ToWorker, { type: 'ack' }>): void {
    const sentAt = tie.sent.get(seq)
    if (sentAt === undefined) return
    for (const earlier of tie.sent.keys()) if (earlier <= seq) tie.sent.delete(earlier)
    tie.unansweredLooks = 0
    this.#keepTo(times)
    this.#answeredAt = this.#deps.clock.monotonic()
    this.#leaseUntil = Math.max(this.#leaseUntil ?? 0, sentAt + this.#times.leaseMs)
  }

  /** The last look that still comes within the lease ends it: nobody runs what others may start already. */
  #watchLease(): void {
    const next = this.#deps.clock.monotonic() + this.#times.leaseMs / LOOKS_PER_LEASE
    if (this.#leaseUntil !== undefined && this.#leaseUntil < next) this.#expire()
    for (const tie of [...this.#ties.values()]) {
      tie.unansweredLooks = tie.sent.size === 0 ? 0 : tie.unansweredLooks + 1
      if (tie.unansweredLooks >= UNANSWERED_LOOKS) tie.link.close(unanswered())
    }
  }

  #isOver(): boolean {
    return this.#leaseUntil !== undefined && !this.holdsLease
  }

  #expire(): void {
    this.#leaseUntil = undefined
    const { host, log } = this.#deps
    const { leaseMs } = this.#times
    // What is still on its way in these links was said to a node that counts as gone.
    for (const { link } of [...this.#ties.values()]) link.close(leaseOver(leaseMs))
    this.#ties.clear()
    const managed = host.all().filter(({ origin }) => origin === 'managed')
    if (managed.length === 0) return
    log.warn(
      { replicas: managed.map(({ id }) => id) },
      `no coordinator has answered for ${leaseMs} ms: the replicas that it placed here are stopped, others may start them now`,
    )
    host.fence()
  }
}

function unanswered(): HubError {
  return new HubError('link.lost', 'The coordinator does not answer on this link.', {
    cure: 'The worker dials again. If that happens often, look at the network and at how busy the coordinator is.',
  })
}

function leaseOver(leaseMs: number): HubError {
  return new HubError('link.lost', `No coordinator has answered for ${leaseMs} ms.`, {
    cure: 'The worker dials again. If that happens often, raise the heartbeat timeout of the cluster.',
  })
}
