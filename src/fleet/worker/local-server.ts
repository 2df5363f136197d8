import { HubError, messageOf } from '../../domain/errors.ts'
import type { ServerSpec } from '../../domain/server-spec.ts'
import type { BackoffPolicy } from '../../kernel/backoff.ts'
import { type Clock, sleep, within } from '../../kernel/clock.ts'
import type { Logger } from '../../kernel/logger.ts'
import type { Random } from '../../kernel/random.ts'
import type { Semaphore } from '../../kernel/semaphore.ts'
import type { ClientIdentity, InboundHandler, Upstream, UpstreamFactory } from '../../upstream/upstream.ts'
import { untilIdle } from './idle.ts'
import { Replica, START_SLOT_MS, unavailable } from './replica.ts'
import type { ReplicaState } from './replica-state.ts'

/** Whoever has an upstream of its own: a client session under isolation `session`, a user under `user`. */
export interface Holder {
  readonly id: string
  readonly identity: ClientIdentity
}

export interface ServerEvents {
  /** Who takes what the server says unasked; `holder` is undefined for the shared upstream. */
  inbound(server: string, holder: Holder | undefined): InboundHandler
  /** The shared upstream is up (again): its lists and state need a look. */
  up(server: string, upstream: Upstream): void
  /** An upstream has ended; whatever was bound to it is void. */
  down(server: string, upstream: Upstream, reason: HubError): void
  /** A holder's own upstream is up. */
  ownUp(server: string, holder: Holder): void
  stateChanged(server: string): void
}

export interface LocalServerDeps {
  readonly factory: UpstreamFactory
  /** How the hub introduces itself where it asks for itself or for everybody. */
  readonly identity: ClientIdentity
  readonly events: ServerEvents
  readonly startGate: Semaphore
  /** The same for the upstreams of holders. */
  readonly ownStartGate: Semaphore
  readonly backoff: BackoffPolicy
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  /** How long a call waits for a server that is just starting. */
  readonly waitMs: number
  /** How long calls in flight may go on when the server is replaced or removed. */
  readonly drainMs: number
}

/** Where holders have their own, the shared upstream only serves to read the lists; it may go soon after. */
const DISCOVERY_IDLE_MS = 10_000
const DRAIN_LOOK_MS = 50
/** Sessions or users that may have an upstream of their own to one server. */
const MAX_SESSION_UPSTREAMS = 256

function tooMany({ name: server, isolation }: ServerSpec): HubError {
  return new HubError(
    'server.unavailable',
    `Server "${server}" already runs for ${MAX_SESSION_UPSTREAMS} ${isolation}s.`,
    {
      data: { server },
      retryAfter: 30,
      cure: 'End sessions that are no longer used, or set "isolation": "shared" if the server keeps no state.',
    },
  )
}

/** One configured server on this node: its shared replica, and the upstreams of single holders. */
export class LocalServer {
  readonly spec: ServerSpec
  readonly #deps: LocalServerDeps
  readonly #replica: Replica
  /** Upstreams of their own by holder: all, and those that have come about. */
  readonly #held = new Map<string, Promise<Upstream>>()
  readonly #open = new Map<string, Upstream>()
  readonly #abort = new AbortController()
  /** Ends openings for holders that are gone before they came about. */
  readonly #unwanted = new Map<string, AbortController>()

  constructor(spec: ServerSpec, deps: LocalServerDeps) {
    this.spec = spec
    this.#deps = deps
    const { events } = deps
    this.#replica = new Replica(
      {
        ...deps,
        server: spec.name,
        inbound: () => events.inbound(spec.name, undefined),
        onState: (state) => this.#stateChanged(state),
      },
      { idleTimeoutMs: sharedIdleTimeout(spec) },
    )
  }

  get state(): ReplicaState {
    return this.#replica.state
  }

  get sessionUpstreams(): number {
    return this.#held.size
  }

  /** Calls in flight. */
  get load(): number {
    let load = this.openUpstream(undefined)?.load ?? 0
    for (const upstream of this.#open.values()) load += upstream.load
    return load
  }

  stderr(): readonly string[] {
    return this.#deps.factory.stderr()
  }

  start(): void {
    this.#replica.start()
  }

  /** The upstream for `holder`, at once where it runs already. Without a holder: the shared one. */
  upstream(holder: Holder | undefined): Upstream | Promise<Upstream> {
    if (holder && this.spec.isolation !== 'shared') return this.#heldBy(holder)
    const { state } = this.#replica
    return state.kind === 'running' && !state.upstream.ended
      ? state.upstream
      : this.#replica.upstream(this.#deps.waitMs)
  }

  openUpstream(holder: Holder | undefined): Upstream | undefined {
    if (holder && this.spec.isolation !== 'shared') return this.#open.get(holder.id)
    const { state } = this.#replica
    return state.kind === 'running' && !state.upstream.ended ? state.upstream : undefined
  }

  async release(holderId: string): Promise<void> {
    this.#unwanted.get(holderId)?.abort()
    const held = this.#held.get(holderId)
    this.#held.delete(holderId)
    const upstream = await held?.catch(() => undefined)
    await upstream?.close()
  }

  /** Ends everything; with `drain`, calls in flight get `drainMs` to finish first. */
  async stop({ drain }: { drain: boolean }): Promise<void> {
    if (drain) {
      this.#replica.retire()
      await this.#drained()
    }
    this.#abort.abort()
    await Promise.all([this.#replica.stop(), ...[...this.#held.keys()].map((id) => this.release(id))])
  }

  /** Waits no longer than for any server that starts; the start itself goes on. */
  #heldBy(holder: Holder): Promise<Upstream> {
    const { clock, waitMs } = this.#deps
    return within(clock, waitMs, this.#held.get(holder.id) ?? this.#startFor(holder), () => {
      throw unavailable(this.spec.name, { kind: 'starting', since: 0 }, 0)
    })
  }

  #startFor(holder: Holder): Promise<Upstream> {
    if (this.#held.size >= MAX_SESSION_UPSTREAMS) throw tooMany(this.spec)
    const unwanted = new AbortController()
    this.#unwanted.set(holder.id, unwanted)
    const opening = this.#openFor(holder, AbortSignal.any([unwanted.signal, this.#abort.signal])).finally(
      () => {
        // The session may have come back meanwhile, with an opening of its own.
        if (this.#unwanted.get(holder.id) === unwanted) this.#unwanted.delete(holder.id)
      },
    )
    this.#held.set(holder.id, opening)
    const forget = () => {
      if (this.#held.get(holder.id) === opening) this.#held.delete(holder.id)
    }
    opening.then((upstream) => this.#opened(holder, upstream, forget), forget)
    return opening
  }

  #opened(holder: Holder, upstream: Upstream, forget: () => void): void {
    const { events } = this.#deps
    this.#open.set(holder.id, upstream)
    void upstream.closed.then((reason) => {
      forget()
      if (this.#open.get(holder.id) === upstream) this.#open.delete(holder.id)
      events.down(this.spec.name, upstream, reason)
    })
    if (this.spec.idleTimeoutMs > 0) void this.#closeWhenIdle(upstream)
    events.ownUp(this.spec.name, holder)
  }

  async #openFor(holder: Holder, signal: AbortSignal): Promise<Upstream> {
    try {
      return await this.#openInTurn(holder, signal)
    } catch (cause) {
      throw new HubError(
        'server.unavailable',
        `Server "${this.spec.name}" cannot be started: ${messageOf(cause)}`,
        { cause, data: { server: this.spec.name } },
      )
    }
  }

  async #openInTurn(holder: Holder, signal: AbortSignal): Promise<Upstream> {
    const { ownStartGate, clock, events, factory } = this.#deps
    const release = await ownStartGate.acquire(signal)
    // A server that takes long must not keep the others from starting.
    const slot = clock.after(START_SLOT_MS, release)
    try {
      return await factory.open(holder.identity, events.inbound(this.spec.name, holder), signal)
    } finally {
      slot.stop()
      release()
    }
  }

  async #closeWhenIdle(upstream: Upstream): Promise<void> {
    if (await untilIdle(upstream, this.spec.idleTimeoutMs, this.#deps.clock)) await upstream.close()
  }

  async #drained(): Promise<void> {
    const { clock, drainMs } = this.#deps
    const deadline = clock.monotonic() + drainMs
    while (clock.monotonic() < deadline && this.#busy() && !this.#abort.signal.aborted)
      await sleep(clock, DRAIN_LOOK_MS, this.#abort.signal)
  }

  #busy(): boolean {
    const { state } = this.#replica
    if (state.kind === 'running' && state.upstream.idleSince === undefined) return true
    return [...this.#open.values()].some((upstream) => upstream.idleSince === undefined)
  }

  #stateChanged(state: ReplicaState): void {
    const { events } = this.#deps
    const { name } = this.spec
    if (state.kind === 'running') {
      void state.upstream.closed.then((reason) => events.down(name, state.upstream, reason))
      events.up(name, state.upstream)
    }
    events.stateChanged(name)
  }
}

function sharedIdleTimeout(spec: ServerSpec): number {
  if (spec.isolation !== 'shared') return DISCOVERY_IDLE_MS
  return spec.startOnDemand ? spec.idleTimeoutMs : 0
}
