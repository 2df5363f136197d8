import type { NodeGate } from '../../access/node-gate.ts'
import type { AssignedServer, ClusterPort, NodeBeat, NodeRegistration } from '../../api/ports.ts'
import type { Assignment, NodeFacts, SessionRoute } from '../../domain/cluster.ts'
import { HubError } from '../../domain/errors.ts'
import { VERSION } from '../../kernel/version.ts'
import type { Hub } from '../hub.ts'
import type { Coordinator } from './coordinator.ts'

export interface ClusterPortDeps {
  readonly coordinator: Coordinator
  readonly hub: Hub
  readonly gate: NodeGate
  /** Of the settings in force. */
  revision(): number | undefined
}

/** The cluster, in the shape in which the management API works with it. */
export function clusterPort({ coordinator, hub, gate, revision }: ClusterPortDeps): ClusterPort {
  const { membership, events, self } = coordinator
  const specs = () => hub.insight.settings().servers
  /** Where a user's sessions share a replica, each of them goes there. */
  const eachSession = (route: SessionRoute): SessionRoute[] =>
    hub.sessionsOf(route.sessionId, route.serverName).map((sessionId) => ({ ...route, sessionId }))
  return {
    summary: () => ({
      enabled: true,
      mode: 'coordinator',
      nodeId: self.id,
      term: coordinator.term,
      leader: self.id,
      version: VERSION,
      sessions: hub.sessionCount,
    }),
    nodes: () => membership.views(),
    replicas: () => coordinator.reconciler.views(),
    servers: () => [...specs().values()].filter(({ enabled }) => enabled).map(({ name }) => name),
    wanted(server) {
      const spec = specs().get(server)
      if (!spec?.enabled) return undefined
      const { reconciler } = coordinator
      const managed = coordinator.owns(server)
      const desired = managed ? (reconciler.desired(server) ?? 0) : reconciler.viewsOf(server).length
      return { desired, replication: spec.replication, managed, shortage: reconciler.shortage(server) }
    },
    events(since, limit) {
      const newer = events.since(since, Number.MAX_SAFE_INTEGER)
      // Whoever follows tells a coordinator that has begun anew by its smaller numbers.
      return { events: newer.slice(-limit), last: events.last }
    },
    sessions({ offset, limit }) {
      const routes = coordinator.servers.routes().flatMap(eachSession).sort(byLastUse)
      return { routes: routes.slice(offset, offset + limit), total: routes.length }
    },
    session(id) {
      if (!hub.hasSession(id)) return undefined
      const routes = hub.holdersOf(id).flatMap((holder) => coordinator.servers.route(holder))
      return routes.flatMap(eachSession).filter(({ sessionId }) => sessionId === id)
    },
    endSession: async (id) => hub.endSession(id),
    async restart(server) {
      // What does not run anywhere yet is none the worse for it, unless it is unknown.
      if (!hub.reload(server)) coordinator.reconciler.restart(server)
    },
    cordon: (node) => coordinator.kept(() => membership.cordon(node)),
    uncordon: (node) => coordinator.kept(() => membership.uncordon(node)),
    drain: (node) => coordinator.kept(() => membership.drain(node)),
    removeNode: (node) => coordinator.kept(() => membership.remove(node)),
    async sync() {
      coordinator.sync()
      return { revision: revision(), nodes: coordinator.assignments }
    },
    admits: (credentials) => gate.admits(credentials),
    register: async (node) => register(coordinator, node),
    heartbeat: async (beat) => heartbeat(coordinator, beat),
  }
}

function byLastUse(a: SessionRoute, b: SessionRoute): number {
  return b.lastActivity - a.lastActivity
}

/** A node that says over HTTP that it is there. It runs servers only once it has a link too. */
function register(coordinator: Coordinator, node: NodeRegistration) {
  const { membership, reconciler, settings } = coordinator
  const known = membership.view(node.nodeId)
  const isElsewhere = known?.host !== node.host || known?.port !== node.port
  if (node.nodeId === coordinator.self.id || (known?.state === 'online' && isElsewhere))
    throw new HubError('resource.in-use', `Another node is called "${node.nodeId}".`, {
      data: { node: node.nodeId, host: known?.host, port: known?.port },
      cure: 'Give each node an id of its own (CLUSTER_NODE_ID).',
    })
  // One that has a link has said more of itself there.
  if (!coordinator.isLinked(node.nodeId)) membership.join(factsOf(node), 0)
  const { heartbeatIntervalMs: heartbeatInterval, heartbeatTimeoutMs: heartbeatTimeout } = settings
  return {
    config: { revision: reconciler.revision, heartbeatInterval, heartbeatTimeout },
    servers: reconciler.assignmentsOf(node.nodeId).map(assigned),
  }
}

function factsOf({ nodeId, host, port, metadata = {}, ...given }: NodeRegistration): NodeFacts {
  return {
    id: nodeId,
    name: given.name ?? metadata.hostname ?? nodeId,
    role: 'worker',
    version: metadata.version ?? 'unknown',
    host,
    port,
    hostname: metadata.hostname ?? host,
    os: metadata.os ?? 'unknown',
    labels: given.labels ?? {},
    weight: given.weight ?? 1,
    // Without a link nothing could be started there.
    maxServers: 0,
    runtimes: given.runtimes ?? [],
  }
}

function assigned({ id, epoch, spec }: Assignment): AssignedServer {
  const { transport, isolation, startOnDemand, idleTimeoutMs } = spec
  const reached =
    transport.kind === 'stdio'
      ? {
          type: 'stdio',
          command: transport.command,
          args: transport.args,
          env: transport.env,
          cwd: transport.cwd,
        }
      : {
          ...(transport.kind === 'auto' ? {} : { type: transport.kind }),
          url: transport.url,
          headers: transport.headers,
        }
  const config = { ...reached, isolation, startOnDemand, idleTimeoutMs }
  return { serverName: spec.name, replicaId: id, epoch, config }
}

function heartbeat({ membership, reconciler }: Coordinator, { nodeId, metrics }: NodeBeat) {
  const load = {
    cpuPercent: metrics?.cpuUsage ?? 0,
    memoryPercent: metrics?.memoryUsage ?? 0,
    activeCalls: metrics?.activeConnections ?? 0,
  }
  if (membership.beat(nodeId, load)) return { revision: reconciler.revision }
  throw new HubError('resource.missing', `Node "${nodeId}" has not registered.`, {
    data: { node: nodeId },
    cure: 'Register it first: POST /internal/cluster/register.',
  })
}
