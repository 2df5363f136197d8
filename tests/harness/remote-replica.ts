import type { ReplicaPhase, ReplicaReport } from '../../src/domain/cluster.ts'
import { HubError } from '../../src/domain/errors.ts'
import type { ServerSpec } from '../../src/domain/server-spec.ts'
import { RemoteServer } from '../../src/fleet/link/remote-server.ts'
import { RemoteUpstreams } from '../../src/fleet/link/remote-upstreams.ts'
import { type Holder, LocalServer } from '../../src/fleet/worker/local-server.ts'
import { UpstreamService } from '../../src/fleet/worker/upstream-service.ts'
import { parseMessage, type RpcNotification, type RpcRequest } from '../../src/mcp/json-rpc.ts'
import { Connection } from '../../src/upstream/connection.ts'
import type {
  ClientIdentity,
  InboundHandler,
  Related,
  Upstream,
  UpstreamFactory,
} from '../../src/upstream/upstream.ts'
import { FakeChannel } from '../fakes/channel.ts'
import { serverHello, serverSpec } from '../fakes/domain.ts'
import { type FakeLink, linkPair } from '../fakes/links.ts'
import { FakeClock, settle as settleOnce } from './fake-clock.ts'
import { recordingLogger } from './recording-logger.ts'
import { IDLE_LISTENER, runningParts } from './running.ts'

export const WAIT_MS = 5_000
export const GRACE_MS = 30_000

export function clientIdentity(name: string): ClientIdentity {
  return { protocolVersion: '2025-11-25', clientInfo: { name, version: '1' }, capabilities: { roots: {} } }
}

export function holderOf(id: string): Holder {
  return { id, identity: clientIdentity(id) }
}

/** Long enough for a message to go to the worker and its answer to come back, a few times over. */
export async function settle(): Promise<void> {
  for (let round = 0; round < 4; round += 1) await settleOnce()
}

/** A server's process as the test plays it, behind a real JSON-RPC connection. */
export class PlayedProcess {
  readonly channel = new FakeChannel()
  readonly connection: Connection
  readonly identity: ClientIdentity

  constructor(identity: ClientIdentity, inbound: InboundHandler, clock: FakeClock) {
    this.identity = identity
    this.connection = new Connection({ server: 'time', clock, log: recordingLogger().logger, inbound })
    inbound.opened(this.connection)
    this.connection.attach(this.channel)
    this.connection.greeted(serverHello('time', { tools: {} }))
  }

  /** The server says this. `requestId`: on the stream of that request. */
  say(message: object | string, requestId?: number): void {
    const text = typeof message === 'string' ? message : JSON.stringify({ jsonrpc: '2.0', ...message })
    this.connection.message(parseMessage(Buffer.from(text)), requestId)
  }

  /** What the server got so far. */
  get got(): unknown[] {
    return this.channel.sent
  }

  /** The newest of that. */
  get last(): unknown {
    return this.channel.sent.at(-1)
  }

  crash(): void {
    this.connection.closedBy(new HubError('upstream.lost', 'The process ended.'))
  }
}

/** A worker with one replica, and the links that lead to it. */
export class PlayedWorker {
  readonly clock = new FakeClock()
  readonly processes: PlayedProcess[] = []
  /** The one in force: see `replace`. */
  server: LocalServer
  readonly service: UpstreamService
  /** What the factory does next, instead of starting. */
  failure: HubError | undefined
  mayServe = true
  readonly #make: () => LocalServer
  epoch = 1

  constructor(parts: Partial<ServerSpec> = {}) {
    const { clock } = this
    const log = recordingLogger().logger
    this.service = new UpstreamService({
      replicas: { find: ({ id, epoch }) => (id === 'r1' && epoch === this.epoch ? this.server : undefined) },
      mayServe: () => this.mayServe,
      linkGraceMs: GRACE_MS,
      clock,
      log,
    })
    const factory: UpstreamFactory = {
      open: async (identity, inbound) => {
        if (this.failure) throw this.failure
        const process = new PlayedProcess(identity, inbound, clock)
        this.processes.push(process)
        return process.connection
      },
      stderr: () => [],
    }
    this.#make = () =>
      new LocalServer(serverSpec('time', parts), {
        factory,
        identity: clientIdentity('worker'),
        events: { ...IDLE_LISTENER, inbound: (server, holder) => this.service.inbound(server, holder) },
        ...runningParts(clock, log),
        waitMs: WAIT_MS,
        drainMs: 10_000,
      })
    this.server = this.#make()
  }

  /** Puts a fresh replica in the place of the one that runs, whose calls may finish. */
  async replace(): Promise<void> {
    const old = this.server
    this.server = this.#make()
    void old.stop({ drain: true })
    await this.start()
  }

  async start(): Promise<this> {
    this.server.start()
    await settle()
    return this
  }

  /** A coordinator's end of a new link. */
  link(): { link: FakeLink; upstreams: RemoteUpstreams; worker: FakeLink } {
    const { coordinator, worker } = linkPair()
    worker.handler = this.service.serve(worker)
    const upstreams = new RemoteUpstreams({
      link: coordinator,
      clock: this.clock,
      log: recordingLogger().logger,
    })
    coordinator.handler = upstreams
    return { link: coordinator, upstreams, worker }
  }

  process(index = 0): PlayedProcess {
    const process = this.processes.at(index)
    if (!process) throw new Error('No such process was started.')
    return process
  }

  report(phase: ReplicaPhase, parts: Partial<ReplicaReport> = {}): ReplicaReport {
    return {
      id: 'r1',
      epoch: 1,
      server: 'time',
      origin: 'managed',
      phase,
      error: undefined,
      createdAt: 0,
      specHash: '',
      calls: 0,
      sessions: 0,
      ...parts,
    }
  }
}

/** A coordinator with its view of the worker's replica, and what it heard. */
export class PlayedCoordinator {
  readonly requests: { request: RpcRequest; related: Related }[] = []
  readonly notifications: { notification: RpcNotification; related: Related }[] = []
  readonly events: string[] = []
  readonly server: RemoteServer
  readonly worker: PlayedWorker
  link: FakeLink
  workerLink: FakeLink

  constructor(worker: PlayedWorker) {
    this.worker = worker
    this.server = new RemoteServer(
      { id: 'r1', epoch: 1, node: 'w1', spec: worker.server.spec },
      {
        events: {
          inbound: () => ({
            opened: () => undefined,
            request: (request, related) => this.requests.push({ request, related }),
            notification: (notification, related) => this.notifications.push({ notification, related }),
          }),
          up: () => this.events.push('up'),
          down: (_server, _upstream, reason) => this.events.push(`down: ${reason.code}`),
          ownUp: (_server, { id }) => this.events.push(`own up: ${id}`),
          stateChanged: () => this.events.push(this.server.state.kind),
        },
        clock: worker.clock,
        log: recordingLogger().logger,
        waitMs: WAIT_MS,
      },
    )
    const { coordinator: link, worker: workerLink } = linkPair()
    this.link = link
    this.workerLink = workerLink
  }

  /** Links the worker, as after a dial, and hears what runs there. */
  async join(): Promise<this> {
    const { link, upstreams, worker } = this.worker.link()
    this.link = link
    this.workerLink = worker
    this.server.linked(upstreams)
    this.server.update(this.worker.report('running'))
    await settle()
    return this
  }

  async lose(): Promise<void> {
    this.link.close(new HubError('link.lost', 'The cable was cut.'))
    await settle()
  }

  get upstream(): Upstream {
    const upstream = this.server.openUpstream(undefined)
    if (!upstream) throw new Error('The shared upstream is not open.')
    return upstream
  }
}

/** One worker and one coordinator, linked, with the shared upstream open. */
export async function linkedReplica(parts: Partial<ServerSpec> = {}) {
  const worker = await new PlayedWorker(parts).start()
  const coordinator = await new PlayedCoordinator(worker).join()
  return { worker, coordinator, clock: worker.clock }
}
