import type { ClusterEventKind, NodeFacts, NodeLoad, NodeView } from '../../domain/cluster.ts'
import { HubError } from '../../domain/errors.ts'
import type { Clock, Timer } from '../../kernel/clock.ts'
import type { Logger } from '../../kernel/logger.ts'
import type { EventLog } from './event-log.ts'
import {
  afterInput,
  isDoubtful,
  type Member,
  type MemberInput,
  type MemberState,
  type MemberTimings,
  newMember,
  stateOf,
} from './member.ts'

/** No cluster has more. */
export const MAX_NODES = 5_000

export interface MembershipDeps {
  readonly clock: Clock
  readonly log: Logger
  readonly events: EventLog
  readonly timings: MemberTimings
  /** The node that this is: whoever can ask is alive. */
  readonly self: string
  /** How many replicas a node runs or is to run. */
  replicasOn(node: string): number
  /** What the operator has said of nodes in an earlier run. */
  readonly flags?: ReadonlyMap<string, NodeFlags>
  /** A node's state or flags have changed; it is in `views` unless it is `removed`. */
  onChange(node: string, state: MemberState): void
}

/** What the operator has said of a node: see `NodeView`. */
export interface NodeFlags {
  readonly cordoned: boolean
  readonly draining: boolean
}

interface Entry {
  facts: NodeFacts
  member: Member
  state: MemberState
  load: NodeLoad
  registeredAt: number
  lastHeartbeat: number
}

const NO_LOAD: NodeLoad = { cpuPercent: 0, memoryPercent: 0, activeCalls: 0 }
const NO_FLAGS: NodeFlags = { cordoned: false, draining: false }

/** Who belongs to the cluster, and how each of them is. One timer serves all nodes. */
export class Membership {
  readonly #deps: MembershipDeps
  readonly #entries = new Map<string, Entry>()
  /** What the operator has said outlives a node's absence. */
  readonly #flags: Map<string, NodeFlags>
  readonly #tickMs: number
  #timer: Timer | undefined
  #lastTick = 0

  constructor(deps: MembershipDeps) {
    this.#deps = deps
    this.#flags = new Map(deps.flags)
    this.#tickMs = Math.max(20, Math.min(500, Math.floor(deps.timings.heartbeatIntervalMs / 8)))
  }

  start(): void {
    const { clock } = this.#deps
    this.#lastTick = clock.monotonic()
    this.#timer ??= clock.every(this.#tickMs, () => this.#tick())
  }

  close(): void {
    this.#timer?.stop()
    this.#timer = undefined
  }

  /**
   * A node is there, for the first time or again.
   * @param servers how many servers of its own settings it runs
   * @throws HubError `resource.in-use` when the cluster is full
   */
  join(facts: NodeFacts, servers: number): void {
    const { clock, log, events } = this.#deps
    const known = this.#entries.get(facts.id)
    if (known && known.state !== 'offline') {
      known.facts = facts
      known.lastHeartbeat = clock.now()
      log.debug({ node: facts.id, servers }, 'a node has joined again')
      return this.#input(known, 'joined')
    }
    this.#refuseTooMany(known)
    const now = clock.now()
    const member: Member = {
      ...newMember(clock.monotonic()),
      link: known?.member.link === 'up' ? 'up' : 'none',
    }
    this.#entries.set(facts.id, {
      facts,
      member,
      state: 'online',
      load: NO_LOAD,
      registeredAt: now,
      lastHeartbeat: now,
    })
    const text = `Node registered: ${facts.name} (${facts.id}) with ${servers} servers`
    log.info({ node: facts.id, role: facts.role, version: facts.version }, text)
    events.add({ kind: 'joined', node: facts.id, text })
    this.#deps.onChange(facts.id, 'online')
  }

  #refuseTooMany(known: Entry | undefined): void {
    if (known || this.#entries.size < MAX_NODES) return
    throw new HubError('resource.in-use', `The cluster has ${MAX_NODES} nodes, and takes no more.`, {
      cure: 'Stop nodes that are not needed, or start a second cluster.',
    })
  }

  /** A heartbeat. Returns false for a node that must join first: it is unknown, or has said that it ends. */
  beat(id: string, load: NodeLoad): boolean {
    const entry = this.#entries.get(id)
    if (!entry || entry.member.leftAt !== undefined) return false
    entry.load = load
    entry.lastHeartbeat = this.#deps.clock.now()
    this.#deps.log.debug({ node: id, ...load }, 'heartbeat')
    this.#input(entry, 'beat')
    return true
  }

  linkUp(id: string): void {
    this.#inputOf(id, 'linkUp')
  }

  linkDown(id: string): void {
    this.#inputOf(id, 'linkDown')
  }

  /** The node ends of its own will, and runs nothing any more. */
  leaving(id: string): void {
    this.#inputOf(id, 'left')
  }

  probed(id: string, isOk: boolean): void {
    this.#inputOf(id, isOk ? 'probeOk' : 'probeFailed')
  }

  /** The node takes no new replicas. @throws HubError `resource.missing` */
  cordon(id: string): void {
    const { draining } = this.#flagsOf(id)
    this.#flag(id, { cordoned: true, draining }, 'cordoned')
  }

  /** Ends `cordon` and `drain`. @throws HubError `resource.missing` */
  uncordon(id: string): void {
    this.#flag(id, NO_FLAGS, 'uncordoned')
  }

  /** The node gives its replicas away. @throws HubError `resource.missing` */
  drain(id: string): void {
    this.#flag(id, { cordoned: true, draining: true }, 'draining')
  }

  /**
   * Takes a node off the list that has gone for good.
   * @throws HubError `resource.missing`, or `resource.in-use` while the node may still run replicas
   */
  remove(id: string): void {
    const entry = this.#known(id)
    if (entry.state !== 'offline') {
      throw new HubError('resource.in-use', `Node "${id}" is ${entry.state}: it cannot be removed.`, {
        data: { node: id, state: entry.state },
        cure: 'Drain it, then stop it; once it is offline it can be removed, and leaves the list by itself too.',
      })
    }
    this.#flags.delete(id)
    this.#become(entry, 'removed')
  }

  /** Of all nodes of which the operator has said something, those that are away too. */
  get flags(): ReadonlyMap<string, NodeFlags> {
    return this.#flags
  }

  views(): NodeView[] {
    return [...this.#entries.values()].map((entry) => this.#view(entry))
  }

  view(id: string): NodeView | undefined {
    const entry = this.#entries.get(id)
    return entry && this.#view(entry)
  }

  /** Nodes that have an address and of which it is not sure that they are well. */
  doubtful(): readonly { readonly id: string; readonly host: string; readonly port: number }[] {
    const now = this.#deps.clock.monotonic()
    return [...this.#entries.values()].flatMap(({ facts: { id, host, port }, member, state }) => {
      if (id === this.#deps.self || host === undefined || port === undefined || state === 'offline') return []
      return isDoubtful(member, this.#deps.timings, now) ? [{ id, host, port }] : []
    })
  }

  #view({ facts, state, load, registeredAt, lastHeartbeat }: Entry): NodeView {
    return {
      ...facts,
      ...this.#flagsOf(facts.id),
      state: state === 'removed' ? 'offline' : state,
      registeredAt,
      lastHeartbeat,
      load,
      replicas: this.#deps.replicasOn(facts.id),
    }
  }

  #known(id: string): Entry {
    const entry = this.#entries.get(id)
    if (entry) return entry
    throw new HubError('resource.missing', `There is no node "${id}".`, {
      data: { node: id },
      cure: 'List the nodes to see their ids; one that has been away for long leaves the list.',
    })
  }

  #flagsOf(id: string): NodeFlags {
    return this.#flags.get(id) ?? NO_FLAGS
  }

  #flag(id: string, flags: NodeFlags, kind: ClusterEventKind): void {
    const { state } = this.#known(id)
    const past = this.#flagsOf(id)
    if (past.cordoned === flags.cordoned && past.draining === flags.draining) return
    if (flags === NO_FLAGS) this.#flags.delete(id)
    else this.#flags.set(id, flags)
    const text = `Node ${id} is ${kind}`
    this.#deps.log.info({ node: id }, text)
    this.#deps.events.add({ kind, node: id, text })
    this.#deps.onChange(id, state)
  }

  #inputOf(id: string, input: MemberInput): void {
    const entry = this.#entries.get(id)
    if (entry) this.#input(entry, input)
  }

  #input(entry: Entry, input: MemberInput): void {
    entry.member = afterInput(entry.member, input, this.#deps.clock.monotonic())
    this.#settle(entry)
  }

  /** While this process itself was stopped nobody's heartbeat could be heard: that time counts for nobody as silence. */
  #tick(): void {
    const now = this.#deps.clock.monotonic()
    const sleptMs = now - this.#lastTick - this.#tickMs
    this.#lastTick = now
    for (const entry of this.#entries.values()) {
      if (sleptMs > this.#tickMs) entry.member = excused(entry.member, sleptMs, now)
      this.#settle(entry)
    }
  }

  #settle(entry: Entry): void {
    const { clock, timings, self } = this.#deps
    const state = entry.facts.id === self ? 'online' : stateOf(entry.member, timings, clock.monotonic())
    if (state !== entry.state) this.#become(entry, state)
  }

  #become(entry: Entry, state: MemberState): void {
    const { id } = entry.facts
    entry.state = state
    if (state === 'removed') this.#entries.delete(id)
    const text = this.#say(entry, state)
    this.#deps.events.add({ kind: state, node: id, text })
    this.#deps.onChange(id, state)
  }

  #say({ facts: { id }, lastHeartbeat }: Entry, state: MemberState): string {
    const { log } = this.#deps
    const say = (level: 'info' | 'warn', text: string) => {
      log[level]({ node: id }, text)
      return text
    }
    switch (state) {
      case 'online':
        return say('info', `Node ${id} is online`)
      case 'unhealthy': {
        const last = new Date(lastHeartbeat).toISOString()
        return say('warn', `Marking node ${id} as unhealthy (last heartbeat: ${last})`)
      }
      case 'offline':
        return say('warn', `Node ${id} is offline`)
      case 'removed':
        return say('info', `Node ${id} has left the list`)
      default:
        return state satisfies never
    }
  }
}

function excused(member: Member, sleptMs: number, now: number): Member {
  return { ...member, lastBeat: Math.min(now, member.lastBeat + sleptMs) }
}
