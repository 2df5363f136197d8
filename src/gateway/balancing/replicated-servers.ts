import type { SessionRoute } from '../../domain/cluster.ts'
import { HubError } from '../../domain/errors.ts'
import type { ServerSpec } from '../../domain/server-spec.ts'
import type { Timer } from '../../kernel/clock.ts'
import type { Upstream } from '../../upstream/upstream.ts'
import type { CallEvent, Holder, Servers } from '../dispatch/servers.ts'
import type { Choice, Member } from './member.ts'
import type { ReplicaHandle, ReplicatedServersDeps } from './ports.ts'
import { ReplicaSet, toRoute } from './replica-set.ts'

/** How often a waiting call looks by itself, should it not have been told of a change, ms. */
const LOOK_MS = 500
/** Calls that wait for replicas at a time, of all servers together. */
const MAX_WAITING = 10_000
/** How often bonds that nobody uses are looked for, ms. */
const SWEEP_MS = { most: 60_000, least: 1_000 }

interface Waiting {
  readonly server: string
  readonly holderId: string | undefined
  released: boolean
}

/** Servers that have any number of replicas on any nodes. Each session keeps to its replica as long as that lives. */
export class ReplicatedServers implements Servers {
  readonly #deps: ReplicatedServersDeps
  readonly #sets = new Map<string, ReplicaSet>()
  /** Whose a shared upstream is, of servers that have several replicas. */
  readonly #owners = new WeakMap<Upstream, { readonly set: ReplicaSet; readonly member: Member }>()
  readonly #waiting = new Set<Waiting>()
  readonly #sweeper: Timer

  constructor(deps: ReplicatedServersDeps) {
    this.#deps = deps
    const { clock, sticky } = deps
    const every = Math.max(SWEEP_MS.least, Math.min(SWEEP_MS.most, sticky.timeoutMs / 4))
    this.#sweeper = clock.every(every, () => {
      for (const set of this.#sets.values()) set.forget(sticky.timeoutMs)
    })
  }

  /** These are all replicas of the server. To be called whenever one comes or goes; one that only changes its standing: `changed`. */
  put(spec: ServerSpec, handles: readonly ReplicaHandle[]): void {
    this.#setOf(spec).put(spec, handles)
  }

  /** A replica of the server has changed its standing. */
  changed(server: string): void {
    this.#sets.get(server)?.changed()
  }

  /** The settings do not name the server any more. Its replicas are the caller's to end. */
  remove(server: string): void {
    const set = this.#sets.get(server)
    if (!set) return
    this.#sets.delete(server)
    set.removed = true
    set.changed()
  }

  upstream(server: string, holder: Holder | undefined): Upstream | Promise<Upstream> {
    const set = this.#sets.get(server)
    if (!set) throw notHere(server)
    const choice = set.choose(holder)
    return choice ? this.#open(set, choice, holder) : this.#waitFor(set, holder)
  }

  openUpstream(server: string, holder: Holder | undefined): Upstream | undefined {
    const set = this.#sets.get(server)
    if (!set) return undefined
    const binding = holder && set.bindingOf(holder.id)
    if (binding) return binding.member.handle.openUpstream(holder)
    // Whoever is bound to nothing uses the only one that there is, or none in particular.
    return set.members.length === 1 ? set.members[0]?.handle.openUpstream(holder) : undefined
  }

  sharedUpstreams(server: string): readonly Upstream[] {
    const members = this.#sets.get(server)?.members ?? []
    return members.flatMap(({ handle }) => handle.openUpstream() ?? [])
  }

  release(holderId: string): void {
    this.unbind(holderId)
    for (const waiting of this.#waiting) if (waiting.holderId === holderId) waiting.released = true
  }

  observed(upstream: Upstream, event: CallEvent): void {
    const owner = this.#owners.get(upstream)
    if (owner) owner.set.note(owner.member, upstream, event)
  }

  /** Calls of a server that are in flight, and those that wait for a replica of it. */
  callsOf(server: string): number {
    let calls = 0
    for (const member of this.#sets.get(server)?.members ?? []) calls += member.load
    for (const waiting of this.#waiting) if (waiting.server === server) calls += 1
    return calls
  }

  /** Every bond that there is. */
  routes(): SessionRoute[] {
    return [...this.#sets].flatMap(([server, set]) =>
      [...set.bindings].map((binding) => toRoute(server, binding, this.#deps.clock)),
    )
  }

  /** Where a session's calls go, by server. */
  route(sessionId: string): SessionRoute[] {
    return [...this.#sets].flatMap(([server, set]) => {
      const binding = set.bindingOf(sessionId)
      return binding ? [toRoute(server, binding, this.#deps.clock)] : []
    })
  }

  /** Ends a session's bonds: its next calls choose anew. Returns whether it had any. */
  unbind(sessionId: string): boolean {
    let had = false
    for (const set of this.#sets.values()) if (set.unbind(sessionId)) had = true
    return had
  }

  /** Whether a replica may end without anybody noticing: no call is in flight, and no session needs just this one. */
  isIdle(replicaId: string): boolean {
    for (const { spec, members } of this.#sets.values())
      for (const member of members) {
        if (member.id !== replicaId) continue
        const needed = spec.replication.stateLoss !== 'stateless' || spec.isolation !== 'shared'
        return member.load === 0 && (!needed || member.sessions === 0)
      }
    return true
  }

  close(): void {
    this.#sweeper.stop()
    for (const server of [...this.#sets.keys()]) this.remove(server)
  }

  #setOf(spec: ServerSpec): ReplicaSet {
    const known = this.#sets.get(spec.name)
    if (known) return known
    const deps = { ...this.#deps, knowsNode: (node: string) => this.#knowsNode(node) }
    const set = new ReplicaSet(spec, deps)
    this.#sets.set(spec.name, set)
    return set
  }

  #knowsNode(node: string): boolean {
    for (const { members } of this.#sets.values())
      if (members.some((member) => member.node === node)) return true
    return false
  }

  #open(set: ReplicaSet, choice: Choice, holder: Holder | undefined): Upstream | Promise<Upstream> {
    const opening = this.#ask(choice, holder)
    if (opening instanceof Promise) return this.#opened(set, choice, { opening, holder })
    if (!choice.told || set.members.length > 1) this.#took(set, choice, { upstream: opening, holder })
    return opening
  }

  #ask({ member }: Choice, holder: Holder | undefined): Upstream | Promise<Upstream> {
    try {
      return member.handle.upstream(holder)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  async #opened(
    set: ReplicaSet,
    choice: Choice,
    { opening, holder }: { opening: Promise<Upstream>; holder: Holder | undefined },
  ): Promise<Upstream> {
    try {
      const upstream = await opening
      this.#took(set, choice, { upstream, holder })
      return upstream
    } catch (error) {
      const next = this.#instead(set, choice, holder)
      if (!next) throw error
      const upstream = await this.#ask(next, holder)
      this.#took(set, next, { upstream, holder })
      return upstream
    }
  }

  /** Another replica for a call whose first could not be opened: nothing has been sent yet. */
  #instead(set: ReplicaSet, choice: Choice, holder: Holder | undefined): Choice | undefined {
    const { member } = choice
    const bound = choice !== member.unbound
    // It was released meanwhile: what would be opened for it now, nobody would close.
    if (set.removed || (bound && holder && set.bindingOf(holder.id) !== choice)) return undefined
    member.doubt(undefined, this.#deps.clock.monotonic())
    // It was never there: there is nothing that could be lost.
    if (bound && !choice.told && holder) set.unbind(holder.id)
    if (set.members.length < 2) return undefined
    const next = set.choose(holder, member)
    return next?.member === member ? undefined : next
  }

  #took(
    set: ReplicaSet,
    choice: Choice,
    { upstream, holder }: { upstream: Upstream; holder: Holder | undefined },
  ): void {
    const shared = set.spec.isolation === 'shared'
    if (shared && set.members.length > 1 && !this.#owners.has(upstream))
      this.#owners.set(upstream, { set, member: choice.member })
    if (choice.told || !holder) return
    choice.told = true
    if (set.bindingOf(holder.id) === choice) this.#deps.bound(holder.id, set.spec.name, upstream)
  }

  async #waitFor(set: ReplicaSet, holder: Holder | undefined): Promise<Upstream> {
    const { clock, waitMs } = this.#deps
    const { name } = set.spec
    if (this.#waiting.size >= MAX_WAITING) throw tooManyWait(name)
    const waiting: Waiting = { server: name, holderId: holder?.id, released: false }
    this.#waiting.add(waiting)
    try {
      if (set.members.length === 0) this.#deps.wake(name)
      const deadline = clock.monotonic() + waitMs
      for (let left = waitMs; left > 0; left = deadline - clock.monotonic()) {
        await set.nextChange(Math.min(left, LOOK_MS))
        if (waiting.released) throw nobodyWaits()
        if (set.removed) throw notHere(name)
        const choice = set.choose(holder)
        if (choice) return await this.#open(set, choice, holder)
      }
      throw noReplica(set)
    } finally {
      this.#waiting.delete(waiting)
    }
  }
}

function notHere(server: string): HubError {
  return new HubError('server.unavailable', `Server "${server}" does not run in this cluster.`, {
    data: { server },
    cure: 'It was removed or disabled in the settings.',
  })
}

function tooManyWait(server: string): HubError {
  return new HubError('server.unavailable', `Too many calls wait for servers, "${server}" among them.`, {
    data: { server, limit: MAX_WAITING },
    retryAfter: 5,
    cure: 'Try again in a moment.',
  })
}

function nobodyWaits(): HubError {
  return new HubError('client.gone', 'The session ended while it waited for a server.')
}

const MAX_SHOWN = 5

function noReplica({ spec, members }: ReplicaSet): HubError {
  const { name, replication } = spec
  const replicas = members.slice(0, MAX_SHOWN).map(({ id, node, handle }) => ({
    id,
    node,
    standing: handle.standing,
  }))
  const wanted = replication.autoscale
    ? `${replication.autoscale.min} to ${replication.autoscale.max}`
    : String(replication.replicas)
  const found =
    replicas.length === 0
      ? 'none is placed on any node'
      : replicas.map(({ id, node, standing }) => `${id} on node ${node} is ${WORDS[standing]}`).join(', ')
  return new HubError('server.unavailable', `No replica of server "${name}" takes calls: ${found}.`, {
    data: { server: name, wanted, replicas },
    retryAfter: 2,
    cure:
      replicas.length === 0
        ? `Its settings ask for ${wanted}: GET /api/cluster/nodes shows whether a node is online that may run it.`
        : 'Try again in a moment; GET /api/cluster/replicas shows the state of each.',
  })
}

const WORDS = {
  open: 'open',
  starting: 'still starting',
  draining: 'ending',
  away: 'out of reach',
  failed: 'down',
} as const
