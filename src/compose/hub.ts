import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Keyring } from '../access/keyring.ts'
import type { OriginPolicy } from '../access/origin.ts'
import type { ConnectReport } from '../api/ports.ts'
import type { HubInsight } from '../api/server-views.ts'
import { type HubError, toHubError } from '../domain/errors.ts'
import type { Principal } from '../domain/principal.ts'
import type { HubSettings, ServerSpec } from '../domain/server-spec.ts'
import { LocalFleet } from '../fleet/worker/local-fleet.ts'
import type { Holder, ServerEvents } from '../fleet/worker/local-server.ts'
import { Catalogs, type ListingStore } from '../gateway/catalog/catalogs.ts'
import { LIST_KINDS, type ListKind } from '../gateway/catalog/listing.ts'
import { type DirectCall, DirectCalls } from '../gateway/direct/direct-calls.ts'
import { Asks, refuse } from '../gateway/dispatch/asks.ts'
import type { CallLog } from '../gateway/dispatch/call-log.ts'
import { Dispatcher } from '../gateway/dispatch/dispatcher.ts'
import { Inbound } from '../gateway/dispatch/inbound.ts'
import { clientGone } from '../gateway/dispatch/questions.ts'
import { Relay } from '../gateway/dispatch/relay.ts'
import { SharedState } from '../gateway/dispatch/shared-state.ts'
import { Traffic } from '../gateway/dispatch/traffic.ts'
import { Turns } from '../gateway/dispatch/turns.ts'
import { ClientAddresses } from '../gateway/front/client-addresses.ts'
import { Front } from '../gateway/front/front.ts'
import type { Session } from '../gateway/sessions/session.ts'
import { SessionTable, unknownSession } from '../gateway/sessions/session-table.ts'
import type { BackoffPolicy } from '../kernel/backoff.ts'
import type { Clock } from '../kernel/clock.ts'
import type { Logger } from '../kernel/logger.ts'
import type { Random } from '../kernel/random.ts'
import { Semaphore } from '../kernel/semaphore.ts'
import { TaskGroup } from '../kernel/task-group.ts'
import { VERSION } from '../kernel/version.ts'
import { LATEST_2025 } from '../mcp/eras.ts'
import { encodeError } from '../mcp/json-rpc.ts'
import type { ClientIdentity, InboundHandler, Upstream, UpstreamFactory } from '../upstream/upstream.ts'
import { InternedIdentities } from './interned.ts'
import { hintsOf, shownDiffers } from './shown.ts'
import { tryServer } from './try-server.ts'

export interface HubTuning {
  readonly startConcurrency: number
  readonly backoff: BackoffPolicy
  /** How long a call waits for a server that is just starting, ms. */
  readonly waitForServerMs: number
  /** How long calls may go on when their server is replaced, ms. */
  readonly drainMs: number
  /** How long a first client waits for servers whose lists nobody has seen yet, ms. */
  readonly firstLookMs: number
  readonly maxSessions: number
}

export interface HubDeps {
  readonly settings: HubSettings
  readonly store: ListingStore
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  readonly tuning: HubTuning
  readonly originPolicy: OriginPolicy
  /** Every key; the hub keeps those of the settings up to date in it. */
  readonly keyring: Keyring
  /** Where tool calls are noted; without it they are not. */
  readonly callLog?: CallLog
  /** How many proxies stand before the hub whose `X-Forwarded-For` is to be believed; none by default. */
  readonly trustedProxies?: number
  factory(spec: ServerSpec): UpstreamFactory
  /** Answers what is not MCP: management and health. */
  other(request: IncomingMessage, response: ServerResponse): void
  /** A server has changed its state, or its lists have been read. */
  onServerState(server: string): void
}

/** What the hub declares to servers that it shares between clients: all that it can bring to one client or another. */
const SHARED_IDENTITY: ClientIdentity = {
  protocolVersion: LATEST_2025,
  clientInfo: { name: 'flotilla', version: VERSION },
  capabilities: { sampling: {}, elicitation: { form: {}, url: {} }, roots: {} },
}

const NO_CALL_LOG: CallLog = { keepsArguments: () => false, finished: () => undefined }

/** A standalone hub: front, gateway and fleet in one process, wired together. */
export class Hub {
  readonly #deps: HubDeps
  readonly #tasks: TaskGroup
  readonly #fleet: LocalFleet
  readonly #catalogs: Catalogs
  readonly #sessions: SessionTable
  readonly #shared = new SharedState()
  readonly #asks: Asks
  readonly #turns: Turns
  readonly #relay: Relay
  readonly #inbound: Inbound
  readonly #front: Front
  readonly #direct: DirectCalls
  #settings: HubSettings
  #stopping = false

  constructor(deps: HubDeps) {
    const { clock, log, random } = deps
    this.#deps = deps
    this.#settings = deps.settings
    this.#declareKeys()
    this.#tasks = new TaskGroup(log)
    const traffic = new Traffic(clock)
    const turns = new Turns(traffic, clock)
    this.#turns = turns
    this.#asks = new Asks({ traffic, turns, clock, log })
    this.#fleet = this.#makeFleet()
    this.#catalogs = new Catalogs(deps.settings, {
      ...deps,
      tasks: this.#tasks,
      firstLookMs: deps.tuning.firstLookMs,
      onRead: (server) => deps.onServerState(server),
      onChange: (server, kinds) => this.#hintChange((servers) => servers.has(server), kinds),
    })
    this.#sessions = new SessionTable({
      clock,
      timeoutMs: () => this.#settings.sessionTimeoutMs,
      maxSessions: deps.tuning.maxSessions,
      onEnd: (session) => this.#sessionEnded(session),
    })
    const shared = this.#shared
    const servers = this.#fleet
    const identities = new InternedIdentities()
    this.#relay = new Relay({
      servers,
      traffic,
      turns,
      shared,
      log,
      spec: (name) => this.#settings.servers.get(name),
    })
    this.#inbound = new Inbound({
      asks: this.#asks,
      traffic,
      shared,
      log,
      listChanged: (server, upstream, kinds) => this.#catalogs.listChanged(server, upstream, kinds),
      sessions: () => this.#sessions.all(),
    })
    const catalogs = this.#catalogs
    const dispatcher = new Dispatcher({
      catalogs,
      servers,
      relay: this.#relay,
      asks: this.#asks,
      shared,
      calls: deps.callLog ?? NO_CALL_LOG,
      clock,
      log,
    })
    this.#front = new Front({
      dispatcher,
      catalogs,
      servers,
      sessions: this.#sessions,
      addresses: new ClientAddresses(deps.trustedProxies ?? 0),
      clock,
      random,
      log,
      originPolicy: deps.originPolicy,
      settings: () => this.#settings,
      keyring: deps.keyring,
      stopping: () => this.#stopping,
      intern: (identity) => identities.of(identity),
      other: deps.other,
    })
    this.#direct = new DirectCalls({
      catalogs,
      dispatcher,
      servers,
      clock,
      random,
      nameSeparator: () => this.#settings.nameSeparator,
      stopping: () => this.#stopping,
    })
  }

  /** Loads what the last run has left and starts the servers; returns at once. */
  async start(): Promise<void> {
    await this.#catalogs.apply(this.#settings)
    this.#fleet.apply(this.#settings.servers)
  }

  handle(request: IncomingMessage, response: ServerResponse): void {
    this.#front.handle(request, response)
  }

  /** Makes new settings the valid ones: servers that did not change go on undisturbed. */
  async apply(settings: HubSettings): Promise<void> {
    const before = this.#settings
    this.#settings = settings
    this.#declareKeys()
    await this.#catalogs.apply(settings)
    this.#fleet.apply(settings.servers)
    this.#endForeignSessions()
    if (shownDiffers(before, settings)) this.#hintChange(() => true, LIST_KINDS)
  }

  get insight(): HubInsight {
    return {
      settings: () => this.#settings,
      report: (server) => this.#fleet.report(server),
      listing: (server) => this.#catalogs.listing(server),
      freshness: (server) => this.#catalogs.freshness(server),
      complaints: (server) => this.#catalogs.complaints(server),
      monotonic: () => this.#deps.clock.monotonic(),
      now: () => this.#deps.clock.now(),
      stopping: () => this.#stopping,
    }
  }

  /** Calls a tool outside of any client's session, with somebody's rights: see `DirectCalls`. */
  call(principal: Principal, call: DirectCall): Promise<Readonly<Record<string, unknown>>> {
    return this.#direct.call(principal, call)
  }

  /** Starts a server anew; calls in flight may finish. Returns whether it runs here. */
  reload(server: string): boolean {
    return this.#fleet.reload(server)
  }

  /** Whether a server works, and what it offers: see `tryServer`. */
  try(spec: ServerSpec, signal: AbortSignal): Promise<ConnectReport> {
    const { clock } = this.#deps
    return tryServer(this.#deps.factory(spec), spec, { identity: SHARED_IDENTITY, clock, signal })
  }

  /** Whether any client's call is on its way. */
  get busy(): boolean {
    for (const session of this.#sessions.all()) if (session.busy) return true
    return false
  }

  get sessionCount(): number {
    return this.#sessions.size
  }

  /** Takes no new sessions from now on. */
  refuseNewSessions(): void {
    this.#stopping = true
  }

  async close(): Promise<void> {
    this.#stopping = true
    this.#sessions.close()
    await this.#fleet.close()
    await this.#tasks.close()
  }

  #declareKeys(): void {
    const { keys, bearerAuth } = this.#settings
    this.#deps.keyring.declare(keys, bearerAuth)
  }

  #makeFleet(): LocalFleet {
    const { tuning } = this.#deps
    return new LocalFleet({
      ...this.#deps,
      identity: SHARED_IDENTITY,
      events: this.#serverEvents(),
      startGate: new Semaphore(tuning.startConcurrency),
      ownStartGate: new Semaphore(tuning.startConcurrency),
      backoff: tuning.backoff,
      waitMs: tuning.waitForServerMs,
      drainMs: tuning.drainMs,
    })
  }

  #serverEvents(): ServerEvents {
    return {
      inbound: (server, holder) => this.#inboundFor(server, holder),
      up: (server, upstream) => {
        this.#catalogs.serverUp(server, upstream)
        this.#restore(server, upstream)
      },
      down: (server, _upstream, reason) => {
        if (!reason.data['byHub']) this.#deps.log.warn({ server, reason: reason.message }, 'a server is down')
      },
      ownUp: (server, { id }) => {
        const session = this.#sessions.get(id)
        if (session) this.#relay.tellOwnLevel(server, session)
      },
      stateChanged: (server) => {
        const state = this.#fleet.report(server)?.state.kind
        if (state === 'failed' || state === 'terminated') this.#catalogs.serverDown(server)
        if (state === 'terminated') this.#turns.forget(server)
        this.#deps.onServerState(server)
      },
    }
  }

  #inboundFor(server: string, holder: Holder | undefined): InboundHandler {
    let current: Upstream | undefined
    return {
      opened: (upstream) => {
        current = upstream
      },
      request: (request, related) => {
        if (!current) return
        const question = { server, upstream: current, request }
        if (!holder) return this.#asks.fromShared(question, related)
        const session = this.#sessions.get(holder.id)
        if (session) this.#asks.fromOwn(question, session)
        else refuse(question, clientGone(server))
      },
      notification: (notification, related) => {
        if (!current) return
        const owner = holder && this.#sessions.get(holder.id)
        // What a session's own server says after the session has ended concerns nobody.
        if (holder && !owner) return
        this.#inbound.notification(notification, { server, upstream: current, owner, related })
      },
    }
  }

  #restore(server: string, upstream: Upstream): void {
    const spec = this.#settings.servers.get(server)
    if (!spec) return
    this.#tasks.run(`restore ${server}`, async () => {
      const told = await Promise.allSettled(this.#shared.restore(server, upstream, spec.call))
      for (const outcome of told)
        if (outcome.status === 'rejected')
          this.#deps.log.warn(
            { server, err: outcome.reason },
            'a subscription or log level could not be restored',
          )
    })
  }

  #sessionEnded(session: Session): void {
    const reason = session.ended ?? unknownSession()
    for (const call of [...session.inFlight.values()]) {
      const { sent } = call
      call.answer(encodeError(call.id, reason.toRpc()), reason)
      sent?.pending.cancel('the session has ended')
    }
    this.#asks.abandon(session)
    this.#forget(session, () => false)
    this.#fleet.release(session.id)
  }

  /** Ends what the session has set on servers that it does not keep. */
  #forget(session: Session, keeps: (server: string) => boolean): void {
    const { orphaned, relevelled } = this.#shared.drop(session, keeps)
    for (const { server, uri } of orphaned) this.#relay.unsubscribe(server, uri)
    for (const server of relevelled) this.#relay.tellLevel(server)
  }

  /** Tells sessions whose endpoint shows the servers in question. */
  #hintChange(
    concerns: (servers: ReadonlyMap<string, unknown>) => boolean,
    kinds: readonly ListKind[],
  ): void {
    const methods = hintsOf(kinds)
    for (const session of this.#sessions.all()) {
      // A session whose endpoint is gone is about to end; it needs no hint.
      if (this.#whyGone(session)) continue
      const shown = this.#catalogs.endpoint(session.endpoint, session.principal).view.servers
      if (concerns(shown)) for (const method of methods) session.stream.hint(method)
    }
  }

  /** Keys or users are others now, or have other rights: whoever would not be let in any more is out. */
  accessChanged(): void {
    this.#endForeignSessions()
  }

  /** Sessions whose endpoint or key is gone end; the others let go of servers that they do not see any more. */
  #endForeignSessions(): void {
    for (const session of [...this.#sessions.all()]) {
      const reason = this.#whyGone(session)
      if (reason) this.#sessions.end(session, reason)
      else {
        const { servers } = this.#catalogs.endpoint(session.endpoint, session.principal).view
        this.#forget(session, (server) => servers.has(server))
      }
    }
  }

  #whyGone(session: Session): HubError | undefined {
    try {
      if (!this.#deps.keyring.knows(session.principal)) return unknownSession()
      this.#catalogs.endpoint(session.endpoint, session.principal)
      return undefined
    } catch (error) {
      return toHubError(error)
    }
  }
}
