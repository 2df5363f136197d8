import type { SessionRoute } from '../../domain/cluster.ts'
import { HubError } from '../../domain/errors.ts'
import type { ServerSpec } from '../../domain/server-spec.ts'
import { Change } from '../../kernel/change.ts'
import type { Upstream } from '../../upstream/upstream.ts'
import type { CallEvent, Holder } from '../dispatch/servers.ts'
import { byHash, onNode } from './affinity.ts'
import { type Binding, type Choice, Member } from './member.ts'
import { choose, newPolicyState } from './policies.ts'
import type { ReplicaHandle, ReplicatedServersDeps } from './ports.ts'

export interface ReplicaSetDeps extends ReplicatedServersDeps {
  /** Whether any server has a replica on this node. */
  knowsNode(node: string): boolean
}

/** The replicas of one server, which sessions are bound to which, and the choice between them. */
export class ReplicaSet {
  spec: ServerSpec
  removed = false
  readonly #deps: ReplicaSetDeps
  readonly #bindings = new Map<string, Binding>()
  readonly #policy = newPolicyState()
  #members: readonly Member[] = []
  readonly #change: Change

  constructor(spec: ServerSpec, deps: ReplicaSetDeps) {
    this.spec = spec
    this.#deps = deps
    this.#change = new Change(deps.clock)
  }

  get members(): readonly Member[] {
    return this.#members
  }

  get bindings(): Iterable<Binding> {
    return this.#bindings.values()
  }

  /** Resolves when there may be another choice than before, or after `ms`. */
  nextChange(ms: number): Promise<void> {
    return this.#change.next(ms)
  }

  changed(): void {
    this.#change.tell()
  }

  /** These are all replicas that there are. Sessions that are bound to another one have lost it. */
  put(spec: ServerSpec, handles: readonly ReplicaHandle[]): void {
    this.spec = spec
    const before = new Map(this.#members.map((member) => [member.id, member]))
    this.#members = handles.map((handle) => {
      const known = before.get(handle.id)
      if (known?.epoch !== handle.epoch || known.node !== handle.node) return new Member(handle)
      before.delete(handle.id)
      known.handle = handle
      return known
    })
    for (const member of this.#members)
      member.peers = this.#members.filter((other) => other !== member).map(({ health }) => health)
    for (const gone of before.values()) this.#gone(gone)
    this.changed()
  }

  /**
   * The replica for the holder's next call: where it is bound, or one chosen now; undefined if none takes calls. Not `except`, which has
   * just failed to open, unless the holder would lose something.
   * @throws HubError `session.unknown` where the session has ended with its replica
   */
  choose(holder: Holder | undefined, except?: Member): Choice | undefined {
    const now = this.#deps.clock.monotonic()
    const bound = holder && this.#bindings.get(holder.id)
    if (!bound) return this.#chooseAnew(holder, { now, except })
    if (this.#stays(bound, now, except)) {
      bound.lastUsed = now
      return bound
    }
    const { stateLoss } = this.spec.replication
    if (stateLoss === 'stateless') this.#deps.log.debug(routeOf(bound), 'a session moves to another replica')
    else this.#lose(bound, notComingUp(bound.member))
    if (stateLoss === 'stateful') throw sessionOver()
    return this.#chooseAnew(holder, { now, except, before: bound })
  }

  bindingOf(holderId: string): Binding | undefined {
    return this.#bindings.get(holderId)
  }

  /** Ends the bond; what the session has for itself in the replica may end too. Returns whether there was one. */
  unbind(holderId: string): boolean {
    const binding = this.#bindings.get(holderId)
    if (!binding) return false
    this.#bindings.delete(holderId)
    this.#leave(binding)
    return true
  }

  /** Forgets bonds that have not been used for `timeoutMs`. */
  forget(timeoutMs: number): void {
    const oldest = this.#deps.clock.monotonic() - timeoutMs
    for (const { holder, member, lastUsed } of this.#bindings.values()) {
      if (lastUsed > oldest) continue
      const own = this.#isOwn() ? member.handle.openUpstream(holder) : undefined
      // A call may take longer than that.
      if (own && own.idleSince === undefined) continue
      this.unbind(holder.id)
    }
  }

  /** How a call on a shared upstream of `member` fares. */
  note(member: Member, upstream: Upstream, event: CallEvent): void {
    const now = this.#deps.clock.monotonic()
    member.health.note(event, now)
    if (event === 'sent' || event === 'answered' || event === 'abandoned') return
    if (event === 'lost') member.doubt(upstream, now)
    // The last one that works is never ejected: a poor answer is better than none.
    if (!this.#hasOther(member, now)) return
    const ms = member.health.judge(member.peers, now)
    if (ms === undefined) return
    this.#deps.news({
      kind: 'ejected',
      node: member.node,
      server: this.spec.name,
      replica: member.id,
      text: `Replica ${member.id} on node ${member.node} fails much more than the others: it gets no calls for ${ms / 1000} s.`,
    })
  }

  /** Whether a bond must be kept when there are other replicas to go to. */
  #stays({ member, holder }: Binding, now: number, except: Member | undefined): boolean {
    if (this.#members.length === 1) return true
    if (this.spec.replication.stateLoss === 'stateless')
      return (member !== except && member.trusted(now)) || !this.#hasOther(member, now)
    if (member.handle.standing !== 'failed' || !this.#hasOther(member, now)) return true
    // What runs for this session alone may be well though nothing new comes up.
    const open = member.handle.openUpstream(holder)
    return open !== undefined && !open.ended
  }

  #hasOther(member: Member, now: number): boolean {
    return this.#members.some((other) => other !== member && other.trusted(now))
  }

  #chooseAnew(
    holder: Holder | undefined,
    { now, except, before }: { now: number; except: Member | undefined; before?: Binding },
  ): Choice | undefined {
    const candidates = this.#candidates(now).filter((member) => member !== except)
    if (candidates.length === 0) return this.#makeshift(holder, now)
    const member = (holder && this.#byAffinity(holder, candidates)) ?? this.#byPolicy(candidates)
    if (before && before.member !== member) this.unbind(before.holder.id)
    if (!member) return undefined
    return holder && this.#binds(holder) ? this.#bind(holder, member, now) : member.unbound
  }

  /** Those that take calls; if there is something against each of them, all that are open. */
  #candidates(now: number): readonly Member[] {
    const trusted = this.#members.filter((member) => member.trusted(now))
    const candidates =
      trusted.length > 0 ? trusted : this.#members.filter(({ handle }) => handle.standing === 'open')
    for (const member of candidates) member.share = member.health.share(member.peers, now)
    return candidates
  }

  /** What may do when nothing is open and waiting leads to nothing, or is not needed. */
  #makeshift(holder: Holder | undefined, now: number): Choice | undefined {
    const standing = (wanted: string) => this.#members.find(({ handle }) => handle.standing === wanted)
    const draining = standing('draining')
    if (draining && !this.#isOwn() && this.spec.replication.stateLoss === 'stateless') return draining.unbound
    if (draining || standing('starting') || standing('away')) return undefined
    // It knows why it does not come up, and when it tries again.
    const failed = standing('failed')
    if (!failed) return undefined
    return holder && this.#isOwn() ? this.#bind(holder, failed, now) : failed.unbound
  }

  #byAffinity(holder: Holder, candidates: readonly Member[]): Member | undefined {
    const { sticky, log } = this.#deps
    if (holder.oneOff || !sticky.enabled || sticky.strategy === 'none') return undefined
    const node = sticky.strategy === 'consistent-hash' ? undefined : holder.preferredNode
    if (node !== undefined) {
      const found = onNode(node, holder.id, candidates)
      if (found) return found
      log.debug(
        { server: this.spec.name, session: holder.id.slice(0, 8), node, strategy: sticky.strategy },
        'affinity: no replica takes calls on the node that a session asks for; another is chosen by hash',
      )
    }
    return byHash(holder.id, candidates)
  }

  #byPolicy(candidates: readonly Member[]): Member | undefined {
    const strategy = this.spec.replication.strategy ?? this.#deps.balance
    return choose(strategy, candidates, { state: this.#policy, random: this.#deps.random })
  }

  /** Whether the holder's further calls must go where its first goes. */
  #binds(holder: Holder): boolean {
    if (this.#isOwn()) return true
    if (holder.oneOff) return false
    const { enabled, strategy } = this.#deps.sticky
    return (enabled && strategy !== 'none') || this.spec.replication.stateLoss !== 'stateless'
  }

  #bind(holder: Holder, member: Member, now: number): Binding {
    const known = this.#bindings.get(holder.id)
    if (known?.member === member) return known
    const binding = { holder, member, createdAt: this.#deps.clock.now(), lastUsed: now, told: false }
    this.#bindings.set(holder.id, binding)
    member.sessions += 1
    this.#tellCookie(holder, member)
    return binding
  }

  /** A cookie names the node of the session's first replica, until that node is gone. */
  #tellCookie(holder: Holder, { node }: Member): void {
    const { enabled, strategy } = this.#deps.sticky
    if (!enabled || strategy !== 'cookie' || holder.oneOff) return
    const { preferredNode } = holder
    if (preferredNode === undefined || !this.#deps.knowsNode(preferredNode)) holder.preferredNode = node
  }

  #gone(member: Member): void {
    this.#policy.credit.delete(member.id)
    const reason = new HubError('upstream.lost', `Replica ${member.id} on node ${member.node} is gone.`, {
      data: { server: this.spec.name, replica: member.id, node: member.node },
    })
    for (const binding of [...this.#bindings.values()])
      if (binding.member === member) this.#lose(binding, reason)
  }

  #lose(binding: Binding, reason: HubError): void {
    this.unbind(binding.holder.id)
    this.#deps.log.debug(routeOf(binding), 'a session has lost its replica')
    this.#deps.lost(binding.holder.id, this.spec, reason)
  }

  #leave({ holder, member }: Binding): void {
    member.sessions -= 1
    if (this.#isOwn()) member.handle.release(holder.id)
  }

  /** Whether each holder has an upstream of its own. */
  #isOwn(): boolean {
    return this.spec.isolation !== 'shared'
  }
}

/** Session ids open sessions: logs show no more than tells two apart. */
function routeOf({ holder, member }: Binding): Record<string, unknown> {
  return { session: holder.id.slice(0, 8), replica: member.id, node: member.node }
}

function notComingUp(member: Member): HubError {
  return new HubError('upstream.lost', `Replica ${member.id} on node ${member.node} does not come up.`, {
    data: { replica: member.id, node: member.node },
  })
}

function sessionOver(): HubError {
  return new HubError('session.unknown', 'This session has ended: what a server had kept for it is lost.', {
    cure: 'Start a new one: send initialize without an Mcp-Session-Id header.',
  })
}

export function toRoute(
  server: string,
  { holder, member, createdAt, lastUsed }: Binding,
  clock: { now(): number; monotonic(): number },
): SessionRoute {
  return {
    sessionId: holder.id,
    serverName: server,
    nodeId: member.node,
    replicaId: member.id,
    createdAt,
    lastActivity: Math.round(clock.now() - (clock.monotonic() - lastUsed)),
  }
}
