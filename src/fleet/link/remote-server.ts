import type { ReplicaReport } from '../../domain/cluster.ts'
import { HubError, toHubError } from '../../domain/errors.ts'
import type { ServerSpec } from '../../domain/server-spec.ts'
import { Change } from '../../kernel/change.ts'
import { type Clock, within } from '../../kernel/clock.ts'
import type { Logger } from '../../kernel/logger.ts'
import type { Upstream } from '../../upstream/upstream.ts'
import type { Holder, ServerEvents } from '../worker/local-server.ts'
import { unavailable } from '../worker/replica.ts'
import { type ReplicaState, troubleOf } from '../worker/replica-state.ts'
import { newSlot, type Opening, type Slot } from './remote-slot.ts'
import type { RemoteUpstream } from './remote-upstream.ts'
import type { RemoteUpstreams } from './remote-upstreams.ts'
import { withData } from './wire-values.ts'

/** Which replica it is. Another epoch is another replica. */
export interface RemoteReplica {
  readonly id: string
  readonly epoch: number
  /** The id of the node that runs it. */
  readonly node: string
  readonly spec: ServerSpec
}

export interface RemoteServerDeps {
  readonly events: ServerEvents
  readonly clock: Clock
  readonly log: Logger
  /** How long a call waits for a replica that is just starting, or whose link is down, ms. */
  readonly waitMs: number
}

/** So many lines of what a failed replica wrote last stand in the log. */
const SAID_LINES = 5

/** A replica on a worker, as its coordinator uses it: what `LocalServer` is for one on this node. */
export class RemoteServer {
  readonly id: string
  readonly epoch: number
  readonly node: string
  readonly server: string
  readonly spec: ServerSpec
  readonly #deps: RemoteServerDeps
  readonly #shared: Slot = newSlot(undefined)
  readonly #held = new Map<string, Slot>()
  readonly #change: Change
  #link: RemoteUpstreams | undefined
  #stopWatching: () => void = () => undefined
  /** Why there is no link. */
  #away: HubError
  #report: ReplicaReport | undefined
  #stderr: readonly string[] = []
  #state: ReplicaState = { kind: 'pending' }
  #asleep = false
  #everUp = false
  #closed = false

  constructor({ id, epoch, node, spec }: RemoteReplica, deps: RemoteServerDeps) {
    this.id = id
    this.epoch = epoch
    this.node = node
    this.spec = spec
    this.server = spec.name
    this.#deps = deps
    this.#change = new Change(deps.clock)
    this.#away = this.#notLinked('has not been linked yet')
  }

  get state(): ReplicaState {
    return this.#state
  }

  /** Whether its node can be reached. */
  get isLinked(): boolean {
    return this.#liveLink !== undefined
  }

  /** Calls in flight from this coordinator. */
  get load(): number {
    let load = this.#shared.upstream?.load ?? 0
    for (const { upstream } of this.#held.values()) load += upstream?.load ?? 0
    return load
  }

  get sessionUpstreams(): number {
    return this.#held.size
  }

  /** What its process wrote before it failed, as far as its node has told; empty while it runs. */
  stderr(): readonly string[] {
    return this.#stderr
  }

  /** What its node says of it; a word on another epoch is about another replica. */
  update(report: ReplicaReport): void {
    if (report.id !== this.id || report.epoch !== this.epoch || this.#closed) return
    const before = this.#report
    this.#report = report
    // Between two tries the reason for the last failure stays.
    if (report.stderr) this.#stderr = report.stderr
    else if (report.phase === 'running') this.#stderr = []
    if (report.phase === 'error' && before?.phase !== 'error') this.#sayFailed(report)
    this.#attachShared()
    this.#refresh()
  }

  /** Its node is reached over this link from now on: what was open before is opened again. */
  linked(link: RemoteUpstreams): void {
    if (this.#closed || link.link.ended) return
    this.#link = link
    this.#stopWatching()
    this.#stopWatching = link.whenEnded((reason) => this.unlinked(reason))
    this.#attachShared()
    for (const slot of this.#held.values()) if (slot.kept) this.#attach(slot)
    this.#refresh()
  }

  /** Calls wait for the link to come back; those in flight fail with their upstreams. */
  unlinked(reason: HubError): void {
    if (this.#closed) return
    this.#link = undefined
    this.#stopWatching()
    this.#away = this.#notLinked('cannot be reached', reason)
    this.#refresh()
  }

  /**
   * The upstream for `holder`, at once where it is open. Without a holder, or under isolation `shared`: the shared one.
   * @throws HubError the promise rejects with `server.unavailable` or `upstream.*`, with `data.accepted: false`
   */
  upstream(holder: Holder | undefined): Upstream | Promise<Upstream> {
    return this.openUpstream(holder) ?? this.#comeUp(this.#ownOf(holder))
  }

  openUpstream(holder: Holder | undefined): Upstream | undefined {
    const own = this.#ownOf(holder)
    const upstream = (own ? this.#held.get(own.id) : this.#shared)?.upstream
    return upstream?.ended ? undefined : upstream
  }

  /** The holder is gone for good: what it has in the replica ends. */
  release(holderId: string): void {
    const slot = this.#held.get(holderId)
    if (!slot) return
    this.#held.delete(holderId)
    this.#drop(slot)
    this.#change.tell()
  }

  /** Lets go of the replica. Calls in flight go on for as long as its node lets them: what it does there is not decided here. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#stopWatching()
    const held = [...this.#held.values()]
    this.#held.clear()
    for (const slot of [this.#shared, ...held]) {
      slot.gone = true
      if (slot.upstream?.load) slot.upstream.retire()
      else this.#drop(slot)
    }
    this.#refresh()
  }

  #sayFailed({ error }: ReplicaReport): void {
    const { server, node, id: replica } = this
    const last = this.#stderr.slice(-SAID_LINES).join(' | ')
    this.#deps.log.warn(
      { server, node, replica },
      `a replica has failed on its node: ${error ?? 'no reason is known.'}${last === '' ? '' : ` Last on stderr: ${last}`}`,
    )
  }

  get #liveLink(): RemoteUpstreams | undefined {
    return this.#link?.link.ended ? undefined : this.#link
  }

  #ownOf(holder: Holder | undefined): Holder | undefined {
    return this.spec.isolation === 'shared' ? undefined : holder
  }

  async #comeUp(holder: Holder | undefined): Promise<Upstream> {
    const slot = this.#slotOf(holder)
    slot.waiting += 1
    try {
      return await this.#wait(slot)
    } finally {
      slot.waiting -= 1
      this.#tidy(slot)
    }
  }

  async #wait(slot: Slot): Promise<Upstream> {
    const { clock, waitMs } = this.#deps
    const deadline = clock.monotonic() + waitMs
    for (;;) {
      if (slot.upstream && !slot.upstream.ended) return slot.upstream
      const left = deadline - clock.monotonic()
      if (this.#closed || slot.gone || left <= 0) throw this.#unavailable()
      const link = this.#liveLink
      if (!link) {
        await this.#change.next(left)
        continue
      }
      const opening = slot.opening ?? this.#open(slot, link, true)
      try {
        return await within(clock, left, opening.promise, () => {
          throw this.#unavailable()
        })
      } catch (error) {
        const another = !opening.wake || opening.via.link.ended !== undefined
        if (!another) throw withData(toHubError(error), { accepted: false })
      }
    }
  }

  #slotOf(holder: Holder | undefined): Slot {
    if (!holder) return this.#shared
    const slot = this.#held.get(holder.id) ?? newSlot(holder)
    this.#held.set(holder.id, slot)
    return slot
  }

  /** A holder's place goes once nothing is in it and nobody waits for it. */
  #tidy(slot: Slot): void {
    if (slot.kept || slot.opening || slot.waiting > 0 || !slot.holder) return
    if (this.#held.get(slot.holder.id) === slot) this.#held.delete(slot.holder.id)
  }

  /** Opens what should be open as far as is known, without starting anything on the node. */
  #attachShared(): void {
    // The first time it may be started: nobody here has seen its lists yet.
    if (this.#report?.phase === 'running') this.#attach(this.#shared, !this.#everUp)
  }

  #attach(slot: Slot, wake = false): void {
    const link = this.#liveLink
    if (!link || this.#closed || slot.gone || slot.opening || (slot.upstream && !slot.upstream.ended)) return
    this.#open(slot, link, wake).promise.catch((error: unknown) => {
      this.#deps.log.debug({ err: error, replica: this.id, node: this.node }, 'a replica was not opened')
    })
  }

  #open(slot: Slot, via: RemoteUpstreams, wake: boolean): Opening {
    const { holder } = slot
    const promise = via
      .open({
        server: this.server,
        replica: { id: this.id, epoch: this.epoch },
        holder,
        inbound: this.#deps.events.inbound(this.server, holder),
        wake,
      })
      .then(
        (upstream) => this.#opened(slot, via, upstream),
        (error: unknown) => this.#notOpened(slot, via, error),
      )
    slot.opening = { promise, wake, via }
    return slot.opening
  }

  #opened(slot: Slot, via: RemoteUpstreams, upstream: RemoteUpstream): RemoteUpstream {
    slot.opening = undefined
    if (slot.gone) {
      void upstream.close()
      if (slot.holder) via.release(this, slot.holder.id)
      throw this.#unavailable()
    }
    slot.upstream = upstream
    slot.kept = true
    void upstream.closed.then((reason) => this.#down(slot, via, reason))
    const { events } = this.#deps
    if (slot.holder) events.ownUp(this.server, slot.holder)
    else {
      this.#everUp = true
      this.#asleep = false
      events.up(this.server, upstream)
      this.#refresh()
    }
    return upstream
  }

  #notOpened(slot: Slot, via: RemoteUpstreams, error: unknown): never {
    slot.opening = undefined
    if (!slot.holder) {
      this.#asleep = error instanceof HubError && error.data['state'] === 'asleep'
      this.#refresh()
    } else if (!via.link.ended) {
      slot.kept = false
      this.#tidy(slot)
    } else if (slot.kept) this.#attach(slot)
    throw error
  }

  #down(slot: Slot, via: RemoteUpstreams, reason: HubError): void {
    const { upstream, holder } = slot
    if (!upstream) return
    slot.upstream = undefined
    this.#deps.events.down(this.server, upstream, reason)
    if (!holder) this.#attachShared()
    // The link took it along: on the node it goes on for a while. Else it has really ended, and starts anew with the next call.
    else if (via.link.ended) this.#attach(slot)
    else {
      slot.kept = false
      this.#tidy(slot)
    }
    this.#refresh()
  }

  #drop(slot: Slot): void {
    slot.gone = true
    void slot.upstream?.close()
    if (slot.holder) this.#liveLink?.release(this, slot.holder.id)
  }

  #refresh(): void {
    const before = this.#state
    const now = this.#currentState()
    if (!sameState(before, now)) {
      this.#state = now
      this.#deps.events.stateChanged(this.server)
    }
    this.#change.tell()
  }

  #currentState(): ReplicaState {
    const now = this.#deps.clock.monotonic()
    if (this.#closed) return { kind: 'terminated' }
    const { upstream } = this.#shared
    if (upstream && !upstream.ended) return { kind: 'running', since: now, upstream }
    if (!this.#liveLink) return { kind: 'failed', error: this.#away, failures: 1, retryAt: now }
    switch (this.#report?.phase) {
      case undefined:
      case 'pending':
        return { kind: 'pending' }
      case 'starting':
        return { kind: 'starting', since: now, ...(this.#report.error ? { after: this.#reported() } : {}) }
      case 'running':
        return this.#asleep ? { kind: 'asleep' } : { kind: 'starting', since: now }
      case 'error':
        return { kind: 'failed', error: this.#reported(), failures: 1, retryAt: now }
      case 'stopped':
      case 'terminated':
        return { kind: 'terminated' }
    }
  }

  #reported(): HubError {
    const why = this.#report?.error ?? 'it does not run'
    return new HubError('server.unavailable', why, {
      data: { server: this.server, node: this.node, replica: this.id },
    })
  }

  #notLinked(how: string, cause?: HubError): HubError {
    return new HubError(
      'server.unavailable',
      `Node "${this.node}" ${how}${cause ? `: ${cause.message}` : '.'}`,
      {
        cause,
        data: { server: this.server, node: this.node, replica: this.id },
        retryAfter: 1,
        cure: 'The node dials again by itself. If it stays away, look at its log and at the network.',
      },
    )
  }

  #unavailable(): HubError {
    const error = unavailable(this.server, this.#state, this.#deps.clock.monotonic())
    return withData(error, { node: this.node, replica: this.id, accepted: false })
  }
}

function sameState(a: ReplicaState, b: ReplicaState): boolean {
  if (a.kind === 'running' && b.kind === 'running') return a.upstream === b.upstream
  return a.kind === b.kind && troubleOf(a)?.message === troubleOf(b)?.message
}
