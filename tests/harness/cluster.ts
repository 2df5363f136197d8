import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ClusterApi, type ReplicaView } from './cluster-api.ts'
import { ClusterNode, processesOf } from './cluster-node.ts'
import { type Executed, readJournals } from './history.ts'
import type { Settings } from './hub.ts'
import { freePort } from './ports.ts'
import { until } from './wait.ts'

/** Settings, or what makes them of the folder in which fixture servers keep their journals. */
export type Document = Settings | ((journals: string) => Settings)

export interface WorkerSetup {
  /** `worker-1`, `worker-2` … where it is left out. */
  readonly id?: string
  readonly settings?: Document
  readonly env?: Readonly<Record<string, string>>
}

export interface ClusterSetup {
  /** The coordinator's document. It runs no servers itself unless its `cluster` says so. */
  readonly coordinator?: Document
  readonly workers?: number | readonly WorkerSetup[]
  /** For all nodes. */
  readonly env?: Readonly<Record<string, string>>
  readonly heartbeat?: Heartbeat
  /** `https`: the coordinator's document has its certificate, and this process trusts who has signed it. */
  readonly scheme?: 'http' | 'https'
}

export interface Heartbeat {
  readonly intervalMs: number
  readonly timeoutMs: number
}

/** Far below what people set, so that tests need not wait; far above what a busy machine needs to beat: two missed ones tell already. */
const HEARTBEAT: Heartbeat = { intervalMs: 500, timeoutMs: 3_000 }
const PASSWORD = 'correct horse battery'
export const TOKEN = 'a-cluster-token-for-tests-0123456789'
/** How long processes may take to end after their node was killed. */
const END_MS = 5_000
const LOOK_MS = 5_000

/** A coordinator and workers in processes of their own, on free loopback ports, with a temporary folder that takes all their files. */
export class Cluster implements AsyncDisposable {
  readonly folder: string
  readonly heartbeat: Heartbeat
  readonly api: ClusterApi
  readonly workers: ClusterNode[] = []
  readonly #setup: ClusterSetup
  readonly #port: number
  #coordinator: ClusterNode | undefined

  /** Starts all nodes, and waits until the coordinator has every worker online. */
  static async start(setup: ClusterSetup): Promise<Cluster> {
    const folder = await mkdtemp(join(tmpdir(), 'flotilla-cluster-'))
    const cluster = new Cluster(setup, folder, await freePort())
    try {
      await cluster.#start()
      return cluster
    } catch (error) {
      await cluster[Symbol.asyncDispose]()
      throw error
    }
  }

  private constructor(setup: ClusterSetup, folder: string, port: number) {
    this.#setup = setup
    this.#port = port
    this.folder = folder
    this.heartbeat = setup.heartbeat ?? HEARTBEAT
    this.api = new ClusterApi(this.url, PASSWORD)
  }

  async #start(): Promise<void> {
    const { coordinator = {}, workers = 1 } = this.#setup
    const settings = withoutOwnServers(this.#settle(coordinator))
    const setups = typeof workers === 'number' ? Array.from({ length: workers }, () => ({})) : workers
    // Servers come when all workers are there: else a slow start would put all replicas on the first, where they would stay.
    const isShared = setups.length > 1
    this.#coordinator = await ClusterNode.start({
      name: 'coordinator',
      folder: join(this.folder, 'coordinator'),
      settings: isShared ? { ...settings, mcpServers: {} } : settings,
      port: this.#port,
      scheme: this.#setup.scheme,
      env: { ...this.#environment('coordinator', 'coordinator-1'), ADMIN_PASSWORD: PASSWORD },
    })
    await Promise.all(setups.map((setup, n) => this.addWorker({ id: `worker-${n + 1}`, ...setup })))
    this.workers.sort((a, b) => a.name.localeCompare(b.name))
    if (!isShared) return
    await this.coordinator.writeSettings(settings)
    for (const server of Object.keys(settings['mcpServers'] ?? {}))
      await this.until(`${server} is known`, () => this.api.replication(server))
  }

  get url(): string {
    return `${this.#setup.scheme ?? 'http'}://127.0.0.1:${this.#port}`
  }

  /** Where clients connect; `server` takes the endpoint of that server alone, where tools have their own names. */
  endpoint(server?: string): string {
    return server === undefined ? `${this.url}/mcp` : `${this.url}/mcp/${server}`
  }

  get coordinator(): ClusterNode {
    if (!this.#coordinator) throw new Error('The cluster has no coordinator yet.')
    return this.#coordinator
  }

  worker(id: string): ClusterNode {
    const worker = this.workers.find(({ name }) => name === id)
    if (!worker) throw new Error(`There is no worker ${id}.`)
    return worker
  }

  /** Starts a worker, and waits until it is online. */
  async addWorker(setup: WorkerSetup = {}): Promise<ClusterNode> {
    const worker = await this.launchWorker(setup)
    await this.untilOnline(worker)
    return worker
  }

  /** Starts a worker, and does not ask what becomes of it. */
  async launchWorker(setup: WorkerSetup = {}): Promise<ClusterNode> {
    const id = setup.id ?? `worker-${this.workers.length + 1}`
    const worker = await ClusterNode.start({
      name: id,
      folder: join(this.folder, id),
      settings: setup.settings && this.#settle(setup.settings),
      env: { ...this.#environment('worker', id), CLUSTER_MASTER_URL: this.url, ...setup.env },
    })
    this.workers.push(worker)
    return worker
  }

  /** `SIGKILL`, as a machine that loses power. */
  kill(worker: ClusterNode): Promise<void> {
    return worker.kill()
  }

  /** `SIGSTOP`: silent, with every connection open, as behind a partition. What it has started goes on. */
  pause(worker: ClusterNode): void {
    worker.signal('SIGSTOP')
  }

  resume(worker: ClusterNode): void {
    worker.signal('SIGCONT')
  }

  untilOnline(worker: ClusterNode): Promise<unknown> {
    return this.until(`${worker.name} is online`, async () => {
      const node = await this.api.node(worker.name)
      return node?.status === 'online'
    })
  }

  /** Waits until exactly these workers are there, and all are online. */
  untilOnlyOnline(...ids: string[]): Promise<unknown> {
    return this.until(`${ids.join(', ')} are online, and no other worker is known`, async () => {
      const workers = (await this.api.nodes()).filter(({ role }) => role === 'worker')
      return (
        workers.length === ids.length &&
        workers.every(({ id, status }) => ids.includes(id) && status === 'online')
      )
    })
  }

  /** Waits until exactly `count` replicas of a server run, and none of it is there that does not. */
  untilRunning(server: string, count: number, ms = 20_000): Promise<ReplicaView[]> {
    return this.until(`${server} has ${count} running replicas`, () => this.#settled(server, count), ms)
  }

  /** Waits until exactly `count` replicas run, each on a node of its own; `stateless` ones spread by themselves where they share one. */
  untilSpread(server: string, count: number): Promise<ReplicaView[]> {
    return this.until(
      `${server} has ${count} running replicas on as many nodes`,
      async () => {
        const all = await this.#settled(server, count)
        return new Set(all?.map(({ nodeId }) => nodeId)).size === count ? all : undefined
      },
      30_000,
    )
  }

  /**
   * Looks until `look` gives something other than undefined or false; an error is a look that saw nothing.
   * @throws after `ms`, with the last error and the end of all logs
   */
  async until<T>(what: string, look: () => T | Promise<T>, ms = 15_000): Promise<NonNullable<T>> {
    let last: unknown
    try {
      return await until(
        what,
        async () => {
          try {
            return await withinTime(look())
          } catch (error) {
            last = error
            return undefined
          }
        },
        ms,
      )
    } catch (error) {
      const reason = last === undefined ? '' : `\nLast error: ${String(last)}`
      throw new Error(`${String(error)}${reason}\n${this.logs()}`)
    }
  }

  /** The end of all logs. */
  logs(): string {
    return [this.#coordinator, ...this.workers].flatMap((node) => (node ? [node.tail()] : [])).join('\n')
  }

  /** Where fixture servers `counter` write. */
  get journals(): string {
    return join(this.folder, 'journals')
  }

  executed(): Promise<Executed[]> {
    return readJournals(this.journals)
  }

  /** Kills all nodes, waits for the end of all that they have started, and forgets everything. @throws when something stays */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#coordinator, ...this.workers].map((node) => node?.kill()))
    let left: string[] = []
    const ended = async () => {
      left = await processesOf(this.folder)
      return left.length === 0
    }
    await until('all processes of the cluster have ended', ended, END_MS).catch((error: unknown) => {
      throw new Error(`${String(error)}\n${left.join('\n')}\n${this.logs()}`)
    })
    await rm(this.folder, { recursive: true, force: true, maxRetries: 3 })
  }

  /** Writes the coordinator's settings file, as an editor would. */
  edit(settings: Document): Promise<void> {
    return this.coordinator.writeSettings(withoutOwnServers(this.#settle(settings)))
  }

  async #settled(server: string, count: number): Promise<ReplicaView[] | undefined> {
    const all = await this.api.replicas(server)
    return all.length === count && all.every(({ phase }) => phase === 'running') ? all : undefined
  }

  #settle(document: Document): Settings {
    return typeof document === 'function' ? document(this.journals) : document
  }

  #environment(role: 'coordinator' | 'worker', id: string): Record<string, string> {
    return {
      CLUSTER_ENABLED: 'true',
      CLUSTER_ROLE: role,
      CLUSTER_NODE_ID: id,
      CLUSTER_TOKEN: TOKEN,
      CLUSTER_HEARTBEAT_INTERVAL: String(this.heartbeat.intervalMs),
      CLUSTER_HEARTBEAT_TIMEOUT: String(this.heartbeat.timeoutMs),
      ...this.#setup.env,
    }
  }
}

/** A look that hangs is a look that saw nothing. */
async function withinTime<T>(looking: T | Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`No answer within ${LOOK_MS} ms.`)), LOOK_MS)
  })
  try {
    return await Promise.race([looking, late])
  } finally {
    clearTimeout(timer)
  }
}

/** A coordinator that ran servers where it must would make it hard to say on which node something is. */
function withoutOwnServers(settings: Settings): Settings {
  return { cluster: { runServers: false }, ...settings }
}

/** Settings of the fixture server `counter`, which keeps its journal in `journals`; for the coordinator's document. */
export function counter(journals: string, settings: Record<string, unknown> = {}, ...args: string[]) {
  const path = fileURLToPath(new URL('../fixtures/servers/counter.ts', import.meta.url))
  return { command: process.execPath, args: [path, '--journal', journals, ...args], ...settings }
}
