import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { NodeGate } from '../../access/node-gate.ts'
import type { WorkerPort } from '../../api/worker/ports.ts'
import { createWorkerApi } from '../../api/worker/worker-api.ts'
import type { NodeFacts, NodeLoad } from '../../domain/cluster.ts'
import type { ClusterSettings } from '../../domain/cluster-settings.ts'
import type { HubSettings, ServerSpec } from '../../domain/server-spec.ts'
import { Dialer } from '../../fleet/link/dialer.ts'
import { LoadMeter } from '../../fleet/membership/machine-load.ts'
import { specHash } from '../../fleet/scheduler/spec-hash.ts'
import { ReplicaHost } from '../../fleet/worker/replica-host.ts'
import { UpstreamService } from '../../fleet/worker/upstream-service.ts'
import { WorkerNode } from '../../fleet/worker/worker-node.ts'
import { refuseConnection } from '../../gateway/front/http.ts'
import { type Clock, sleep } from '../../kernel/clock.ts'
import type { Logger } from '../../kernel/logger.ts'
import type { Random } from '../../kernel/random.ts'
import { TaskGroup } from '../../kernel/task-group.ts'
import { VERSION } from '../../kernel/version.ts'
import type { Redactor } from '../../observability/redaction.ts'
import { Drivers } from '../drivers.ts'
import { runningDeps } from '../fleet.ts'
import type { HubTuning } from '../hub.ts'
import { KnownSecrets } from '../known-secrets.ts'
import { listen } from '../listen.ts'
import type { Environment } from '../state.ts'
import { Allocations } from './allocation.ts'
import { nodeFacts, tokensOf } from './facts.ts'
import { Joining } from './joining.ts'
import { readTlsFiles, tlsWarning } from './tls.ts'
import { workerSettings } from './worker-settings.ts'

export interface WorkerOptions {
  readonly settings: ClusterSettings
  readonly host: string
  readonly port: number
  readonly dataDir: string
  readonly settingsPath: string
  readonly environment: Environment
  readonly tuning: HubTuning & { readonly initTimeoutMs: number }
}

export interface WorkerDeps {
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  readonly redactor: Redactor
}

const NO_LOAD: NodeLoad = { cpuPercent: 0, memoryPercent: 0, activeCalls: 0 }
/** A worker that leaves goes on for this long at least: calls may be on their way to it. */
const LEAVE_MS = 300

/** A running worker: replicas for its coordinators, and no clients of its own. */
export class Worker {
  readonly facts: NodeFacts
  readonly settings: ClusterSettings
  readonly #parts: WorkerParts
  #stopped: Promise<void> | undefined

  /**
   * Starts listening, then the servers of its own settings, then dials its coordinators for ever.
   * @throws HubError for settings that cannot be used, and an address that cannot be listened on
   */
  static async start(options: WorkerOptions, deps: WorkerDeps): Promise<Worker> {
    await using opening = new AsyncDisposableStack()
    const { settings, environment, dataDir } = options
    const { clock, random, log } = deps
    const tls = await readTlsFiles(settings.tls)
    const warning = tlsWarning(tls, clock.now())
    if (warning !== undefined) log.warn({}, warning)
    const server = createServer()
    server.on('clientError', refuseConnection)
    await listen(server, options)
    opening.defer(() => void server.close())
    const { port } = server.address() as AddressInfo
    const facts = await nodeFacts({ ...options, role: 'worker', port }, random)
    const parts = open({ ...options, facts, server }, deps)
    opening.defer(() => parts.close())
    const { inForce, checker, first } = await workerSettings(
      { ...options, environment, dataDir, onChange: (next) => parts.apply(next) },
      { clock, log },
    )
    for (const warning of first.warnings) log.warn({}, warning)
    parts.allocations.open(checker)
    parts.apply(first.settings)
    parts.tasks.run('look after changed settings', (signal) => inForce.watch(signal))
    const dialer = new Dialer({ ...deps, token: () => settings.token, tls, self: () => facts })
    opening.defer(() => dialer.close())
    parts.links.states = dialer.states
    const worker = new Worker(facts, settings, { ...parts, dialer, opened: opening.move() })
    parts.joining.open((url) => worker.#dial(url))
    if (settings.registerOnStartup) parts.joining.join()
    else log.info({}, 'this worker waits for POST /internal/cluster/join: "registerOnStartup" is false')
    return worker
  }

  private constructor(facts: NodeFacts, settings: ClusterSettings, parts: WorkerParts) {
    this.facts = facts
    this.settings = settings
    this.#parts = parts
  }

  get port(): number {
    return (this.#parts.server.address() as AddressInfo).port
  }

  /** Tells the coordinators, lets calls finish for up to `graceMs`, ends everything. Safe to call twice. */
  stop(graceMs: number): Promise<void> {
    this.#stopped ??= this.#stop(graceMs)
    return this.#stopped
  }

  async #stop(graceMs: number): Promise<void> {
    const { clock, tasks, node, host, opened } = this.#parts
    this.#parts.stopping.value = true
    this.#parts.joining.open(undefined)
    await tasks.close()
    node.leave()
    const deadline = clock.monotonic() + graceMs
    const isDone = () => host.calls === 0 && host.all().every(({ origin }) => origin === 'pinned')
    if (node.linked) await sleep(clock, Math.min(LEAVE_MS, graceMs))
    while (node.linked && !isDone() && clock.monotonic() < deadline) await sleep(clock, 20)
    await opened.disposeAsync()
  }

  #dial(url: string): void {
    const { dialer, node, log } = this.#parts
    dialer.keep(url, {
      onLink: (link) => node.attach(link),
      onUp: () => log.info({ coordinator: url }, 'Connected to master node (Worker mode)'),
    })
  }
}

interface Opened {
  readonly server: Server
  readonly host: ReplicaHost
  readonly node: WorkerNode
  readonly tasks: TaskGroup
  readonly clock: Clock
  readonly log: Logger
  readonly stopping: { value: boolean }
  readonly allocations: Allocations
  readonly joining: Joining
  /** What has become of the coordinators' URLs, as soon as somebody dials. */
  readonly links: { states: Dialer['states'] | undefined }
  apply(settings: HubSettings): void
  close(): Promise<void>
}

interface WorkerParts extends Omit<Opened, 'apply' | 'close' | 'allocations' | 'links'> {
  readonly dialer: Dialer
  readonly opened: AsyncDisposableStack
}

function open(
  { settings, environment, tuning, facts, server }: WorkerOptions & { facts: NodeFacts; server: Server },
  { clock, random, log, redactor }: WorkerDeps,
): Opened {
  const tasks = new TaskGroup(log)
  const harmless = (text: string, longest: number) => redactor.redactStart(text, longest)
  const drivers = new Drivers({
    environment,
    initTimeoutMs: tuning.initTimeoutMs,
    harmless,
    clock,
    random,
    log,
  })
  const secrets = new KnownSecrets(redactor, tokensOf(settings))
  const factory = (spec: ServerSpec) => {
    const { transport } = spec
    secrets.add(Object.values(transport.kind === 'stdio' ? transport.env : transport.headers))
    return drivers.factory(spec)
  }
  const service: UpstreamService = new UpstreamService({
    replicas: { find: (key) => host.find(key) },
    mayServe: () => node.mayServe,
    linkGraceMs: settings.linkGraceMs,
    clock,
    log,
  })
  const host: ReplicaHost = new ReplicaHost({
    ...runningDeps({ tuning, clock, random, log, factory }),
    specHash,
    onChange: () => node.changed(),
    events: () => ({
      inbound: (name, holder) => service.inbound(name, holder),
      up: () => undefined,
      down: () => undefined,
      ownUp: () => undefined,
      stateChanged: () => undefined,
    }),
  })
  const meter = new LoadMeter()
  let load = NO_LOAD
  const node: WorkerNode = new WorkerNode({
    host,
    serve: (link) => service.serve(link),
    load: () => ({ ...load, activeCalls: host.calls }),
    harmless,
    heartbeatIntervalMs: settings.heartbeatIntervalMs,
    leaseMs: settings.heartbeatTimeoutMs,
    clock,
    log,
  })
  tasks.run('measure the load', async (signal) => {
    while (!signal.aborted) {
      load = await meter.sample(host.calls)
      await sleep(clock, settings.heartbeatIntervalMs, signal)
    }
  })
  const stopping = { value: false }
  const links: Opened['links'] = { states: undefined }
  let own: ReadonlyMap<string, ServerSpec> = new Map()
  const pin = () => node.pin(new Map([...own, ...allocations.specs]))
  const allocations = new Allocations(pin)
  const joining = new Joining(settings.coordinators)
  const gate = new NodeGate(settings.token)
  const port: WorkerPort = {
    node: facts.id,
    version: VERSION,
    links: () =>
      settings.coordinators.map((coordinator) => ({
        coordinator,
        up: links.states?.get(coordinator)?.kind === 'linked',
        heartbeatAgeMs: node.heartbeatAgeMs,
      })),
    replicas: () => host.reports(),
    load: () => ({ ...load, activeCalls: host.calls }),
    stopping: () => stopping.value,
    admits: (credentials) => gate.admits(credentials),
    allocate: (replica) => allocations.allocate(replica),
    release: (replica) => allocations.release(replica),
    join: async (coordinatorUrl) => joining.join(coordinatorUrl),
  }
  const api = createWorkerApi({
    worker: port,
    clock,
    random,
    log,
    harmless: (text) => redactor.hideKnown(text),
  })
  server.on('request', (request, response) => api.handle(request, response))
  return {
    server,
    host,
    node,
    tasks,
    clock,
    log,
    stopping,
    allocations,
    joining,
    links,
    apply(next) {
      own = pinnedIds(next, facts.id)
      pin()
    },
    async close() {
      await tasks.close()
      node.close()
      await host.close()
      await drivers.close()
      server.closeAllConnections()
    },
  }
}

/** One replica of each server that the node's settings have. */
function pinnedIds({ servers }: HubSettings, node: string): ReadonlyMap<string, ServerSpec> {
  const enabled = [...servers.values()].filter((spec) => spec.enabled)
  return new Map(enabled.map((spec) => [`${spec.name}@${node}`, spec]))
}
