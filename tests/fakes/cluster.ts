import { type NodeCredentials, NodeGate } from '../../src/access/node-gate.ts'
import type { ClusterPort, ClusterSummary, WantedReplicas } from '../../src/api/ports.ts'
import type { ClusterEvent, NodeView, ReplicaView, SessionRoute } from '../../src/domain/cluster.ts'
import { HubError } from '../../src/domain/errors.ts'
import { defaultReplication } from '../../src/domain/replication.ts'

/** A node of which only what a test cares about need be said. */
export function nodeOf(id: string, parts: Partial<NodeView> = {}): NodeView {
  return {
    id,
    name: `name of ${id}`,
    role: 'worker',
    version: '1.0.0',
    host: `${id}.internal`,
    port: 3001,
    hostname: `host-${id}`,
    os: 'linux 6.1',
    labels: {},
    weight: 1,
    maxServers: 20,
    runtimes: ['npx'],
    state: 'online',
    cordoned: false,
    draining: false,
    registeredAt: 1_000,
    lastHeartbeat: 2_000,
    load: { cpuPercent: 12.34, memoryPercent: 50, activeCalls: 3 },
    replicas: 1,
    ...parts,
  }
}

export function replicaOf(server: string, node: string, parts: Partial<ReplicaView> = {}): ReplicaView {
  return {
    id: `${server}-replica-1`,
    epoch: 7,
    server,
    origin: 'managed',
    phase: 'running',
    error: undefined,
    createdAt: 1_500,
    specHash: 'x',
    calls: 2,
    sessions: 0,
    node,
    draining: false,
    ...parts,
  }
}

export const SESSION = 'session-0123456789abcdefghij'

export function routeOf(serverName: string, parts: Partial<SessionRoute> = {}): SessionRoute {
  return {
    sessionId: SESSION,
    serverName,
    nodeId: 'n1',
    replicaId: `${serverName}-replica-1`,
    createdAt: 1_000,
    lastActivity: 2_000,
    ...parts,
  }
}

/** A cluster in memory, with a coordinator, two workers, and the token `cluster-token`; it notes what it is told to do. */
export class FakeCluster implements ClusterPort {
  facts: ClusterSummary = {
    enabled: true,
    mode: 'coordinator',
    nodeId: 'coordinator',
    term: 3,
    leader: 'coordinator',
    version: '1.0.0',
    sessions: 10,
  }
  nodeList: NodeView[] = [
    nodeOf('coordinator', { role: 'coordinator', maxServers: undefined, replicas: 0 }),
    nodeOf('n1', { replicas: 2 }),
    nodeOf('n2', { state: 'offline', version: '0.9.0' }),
  ]
  replicaList: ReplicaView[] = [
    replicaOf('fetch', 'n1'),
    replicaOf('fetch', 'n2', { id: 'fetch-replica-2' }),
    replicaOf('time', 'n1', { phase: 'error', error: 'It ends at once.' }),
    replicaOf('theirs', 'n1', { id: 'theirs@n1', origin: 'pinned', epoch: 0 }),
  ]
  wantedReplicas: Map<string, WantedReplicas> = new Map([
    [
      'fetch',
      {
        desired: 2,
        replication: { ...defaultReplication('shared'), replicas: 2 },
        managed: true,
        shortage: 'No node can take a replica of "fetch": 1 cordoned.',
      },
    ],
    ['time', { desired: 1, replication: defaultReplication('session'), managed: true, shortage: undefined }],
    [
      'theirs',
      { desired: 1, replication: defaultReplication('shared'), managed: false, shortage: undefined },
    ],
  ])
  routes: SessionRoute[] = [
    routeOf('fetch'),
    routeOf('time', { lastActivity: 3_000 }),
    routeOf('fetch', { sessionId: 'another-0123456789abcdefghij', nodeId: 'n2' }),
  ]
  eventList: ClusterEvent[] = []
  /** Such as `drain n1`. */
  readonly done: string[] = []
  readonly told: unknown[] = []
  gate = new NodeGate('cluster-token')

  summary = () => this.facts
  nodes = () => this.nodeList
  replicas = () => this.replicaList
  servers = () => [...this.wantedReplicas.keys()]
  wanted = (server: string) => this.wantedReplicas.get(server)
  events = (since: number, limit: number) => ({
    events: this.eventList.filter(({ number }) => number > since).slice(-limit),
    last: this.eventList.at(-1)?.number ?? 0,
  })
  sessions = ({ offset, limit }: { offset: number; limit: number }) => ({
    routes: this.routes.slice(offset, offset + limit),
    total: this.routes.length,
  })
  session = (id: string) => {
    const routes = this.routes.filter(({ sessionId }) => sessionId === id)
    return routes.length === 0 ? undefined : routes
  }
  endSession = async (id: string) => {
    const before = this.routes.length
    this.routes = this.routes.filter(({ sessionId }) => sessionId !== id)
    return this.routes.length < before
  }
  restart = async (server: string) => void this.done.push(`restart ${server}`)
  cordon = async (node: string) => void this.done.push(`cordon ${node}`)
  uncordon = async (node: string) => void this.done.push(`uncordon ${node}`)
  drain = async (node: string) => {
    this.done.push(`drain ${node}`)
    this.nodeList = this.nodeList.map((each) => (each.id === node ? { ...each, draining: true } : each))
  }
  removeNode = async (node: string) => {
    if (this.nodeList.some(({ id, state }) => id === node && state === 'online'))
      throw new HubError('resource.in-use', 'The node is online.', { cure: 'Drain it first.' })
    this.done.push(`remove ${node}`)
  }
  sync = async () => ({
    revision: 5,
    nodes: [
      { id: 'n1', sent: 9, confirmed: 9 },
      { id: 'n2', sent: 9, confirmed: undefined },
    ],
  })
  admits = (credentials: NodeCredentials) => this.gate.admits(credentials)
  register = async (node: Parameters<ClusterPort['register']>[0]) => {
    this.told.push(node)
    const config = { revision: 9, heartbeatInterval: 5_000, heartbeatTimeout: 15_000 }
    const fetch = { serverName: 'fetch', replicaId: 'fetch-replica-1', epoch: 7, config: { command: 'x' } }
    return { config, servers: [fetch] }
  }
  heartbeat = async (beat: Parameters<ClusterPort['heartbeat']>[0]) => {
    this.told.push(beat)
    return { revision: 9 }
  }
}
