import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Keyring } from '../access/keyring.ts'
import type { OriginPolicy } from '../access/origin.ts'
import type { ConnectReport } from '../api/ports.ts'
import type { HubInsight } from '../api/server-views.ts'
import type { StickySettings } from '../domain/cluster-settings.ts'
import { type HubError, toHubError } from '../domain/errors.ts'
import type { Principal } from '../domain/principal.ts'
import type { HubSettings, ServerSpec } from '../domain/server-spec.ts'
import { isUserHolder } from '../domain/user-holder.ts'
import { Catalogs, type ListingStore } from '../gateway/catalog/catalogs.ts'
import { LIST_KINDS, type ListKind } from '../gateway/catalog/listing.ts'
import { type DirectCall, DirectCalls } from '../gateway/direct/direct-calls.ts'
import { Asks } from '../gateway/dispatch/asks.ts'
import type { CallLog } from '../gateway/dispatch/call-log.ts'
import { Dispatcher } from '../gateway/dispatch/dispatcher.ts'
import { Inbound } from '../gateway/dispatch/inbound.ts'
import { Relay } from '../gateway/dispatch/relay.ts'
import { SharedState } from '../gateway/dispatch/shared-state.ts'
import { Traffic } from '../gateway/dispatch/traffic.ts'
import { Turns } from '../gateway/dispatch/turns.ts'
import { UserServers } from '../gateway/dispatch/user-servers.ts'
import { ClientAddresses } from '../gateway/front/client-addresses.ts'
import { Front } from '../gateway/front/front.ts'
import type { Session } from '../gateway/sessions/session.ts'
import { SessionTable, unknownSession } from '../gateway/sessions/session-table.ts'
import type { Clock } from '../kernel/clock.ts'
import type { Logger } from '../kernel/logger.ts'
import type { Random } from '../kernel/random.ts'
import { TaskGroup } from '../kernel/task-group.ts'
import { encodeError } from '../mcp/json-rpc.ts'
import type { UpstreamFactory } from '../upstream/upstream.ts'
import { type Fleet, type FleetListener, type FleetTuning, type MakeFleet, SHARED_IDENTITY } from './fleet.ts'
import { inboundFor } from './inbound-for.ts'
import { InternedIdentities } from './interned.ts'
import { hintsOf, shownDiffers } from './shown.ts'
import { tellLost } from './state-lost.ts'
import { tryServer } from './try-server.ts'
import { Upkeep } from './upkeep.ts'

export interface HubTuning extends FleetTuning {
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
  /** Reaches a server that is only tried. */
  factory(spec: ServerSpec): UpstreamFactory
  readonly fleet: MakeFleet
  /** How clients name the node that they want; undefined where there is one only. */
  readonly sticky?: StickySettings
  /** Answers what is not MCP: management and health. */
  other(request: IncomingMessage, response: ServerResponse): void
  /** A server has changed its state, or its lists have been read. */
  onServerState(server: string): void
}

const NO_CALL_LOG: CallLog = { keepsArguments: () => false, finished: () => undefined }

/** Front and gateway, wired together, over a fleet wherever that runs. */
export class Hub {
  readonly #deps: HubDeps
  readonly #tasks: TaskGroup
  readonly #fleet: Fleet
  readonly #catalogs: Catalogs
  readonly #sessions: SessionTable
  readonly #shared: SharedState
  readonly #servers: UserServers
  readonly #upkeep: Upkeep
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
    this.#fleet = deps.fleet(this.#listener())
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
    const spec = (name: string) => this.#settings.servers.get(name)
    const servers = new UserServers({
      servers: this.#fleet,
      identity: SHARED_IDENTITY,
      spec,
      anySessionOf: (user) => this.#sessions.all().find((session) => session.user === user)?.id,
    })
    const shared = new SharedState((server, session) => servers.userOf(server, session))
    this.#servers = servers
    this.#shared = shared
    this.#upkeep = new Upkeep({ shared, servers, tasks: this.#tasks, log, spec })
    const identities = new InternedIdentities()
    this.#relay = new Relay({
      servers,
      traffic,
      turns,
      shared,
      log,
      spec,
      listing: (name) => this.#catalogs.listing(name),
    })
    this.#inbound = new Inbound({
      servers,
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
      ...(deps.sticky ? { sticky: deps.sticky } : {}),
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

  /** The sessions behind a holder of a server's upstreams: several where that is a user. */
  sessionsOf(holderId: string, server: string): string[] {
    return this.#servers.sessionsOf(holderId, server)
  }

  /** Under which ids a session holds upstreams: its own, and its user's if it has used any of those. */
  holdersOf(sessionId: string): string[] {
    return this.#servers.holdersOf(sessionId)
  }

  hasSession(id: string): boolean {
    return this.#sessions.get(id) !== undefined
  }

  /** Ends a client's session, as its DELETE would. Returns whether there was one. */
  endSession(id: string): boolean {
    const session = this.#sessions.get(id)
    if (session) this.#sessions.end(session, unknownSession())
    return session !== undefined
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

  #listener(): FleetListener {
    return {
      lost: (holderId, spec, reason) => {
        for (const id of this.#servers.lost(holderId, spec.name)) this.#stateLost(id, spec, reason)
      },
      bound: (holderId, server, upstream) => {
        const session = this.#sessions.get(holderId)
        if (session) this.#upkeep.bound(session, server, upstream)
      },
      inbound: (server, holder) =>
        inboundFor(server, holder, {
          asks: this.#asks,
          inbound: this.#inbound,
          session: (id) => this.#sessions.get(id),
        }),
      up: (server, upstream) => {
        this.#catalogs.serverUp(server, upstream)
        this.#upkeep.up(server, upstream)
      },
      down: (server, _upstream, reason) => {
        if (!reason.data['byHub']) this.#deps.log.warn({ server, reason: reason.message }, 'a server is down')
      },
      ownUp: (server, holder) => {
        const session = this.#sessions.get(holder.id)
        if (isUserHolder(holder.id)) this.#upkeep.userUp(server, holder)
        else if (session) this.#relay.tellOwnLevel(server, session)
      },
      stateChanged: (server) => {
        const state = this.#fleet.report(server)?.state.kind
        if (state === 'failed' || state === 'terminated') this.#catalogs.serverDown(server)
        if (state === 'terminated') this.#turns.forget(server)
        this.#deps.onServerState(server)
      },
    }
  }

  /** What a session had in a replica is gone. */
  #stateLost(sessionId: string, spec: ServerSpec, reason: HubError): void {
    const session = this.#sessions.get(sessionId)
    if (!session) return
    const { stateLoss } = spec.replication
    if (stateLoss === 'stateful') return this.#sessions.end(session, unknownSession())
    if (stateLoss === 'resumable') tellLost(session, spec.name, reason)
    this.#upkeep.lost(session, spec.name)
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
    this.#servers.release(session.id)
  }

  /** Ends what the session has set on servers that it does not keep. */
  #forget(session: Session, keeps: (server: string) => boolean): void {
    const { orphaned, relevelled } = this.#shared.drop(session, keeps)
    for (const { server, uri } of orphaned) this.#relay.unsubscribe(server, uri, { session })
    for (const server of relevelled) this.#relay.tellLevel(server, session)
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
