import type { NodeView, ReplicaPhase, ReplicaView, SessionRoute } from '../domain/cluster.ts'
import type { ClusterPort, ClusterSummary } from './ports.ts'

/** A node in the words of the API. Addresses are left out for those who may not see them. */
export function nodeView(node: NodeView, showsAddresses: boolean) {
  const { id, name, role, state, lastHeartbeat, registeredAt, load } = node
  return {
    id,
    name,
    role: role === 'coordinator' ? ('master' as const) : ('worker' as const),
    host: (showsAddresses ? node.host : undefined) ?? null,
    port: (showsAddresses ? node.port : undefined) ?? null,
    status: state,
    lastHeartbeat: Math.round(lastHeartbeat),
    registeredAt: Math.round(registeredAt),
    metadata: {
      hostname: showsAddresses ? node.hostname : null,
      version: node.version,
      os: node.os,
      cpuUsage: rounded(load.cpuPercent),
      memoryUsage: rounded(load.memoryPercent),
    },
    labels: node.labels,
    weight: node.weight,
    maxServers: node.maxServers ?? null,
    servers: node.replicas,
    runtimes: node.runtimes,
    activeCalls: load.activeCalls,
    cordoned: node.cordoned || node.draining,
    draining: node.draining,
  }
}

/** To one decimal: more says nothing. */
function rounded(percent: number): number {
  return Math.round(percent * 10) / 10
}

export function replicaView(replica: ReplicaView) {
  const { id, server, node, phase, createdAt, error, epoch, origin, draining, calls, sessions } = replica
  return {
    id,
    serverName: server,
    nodeId: node,
    status: STATUS_BY_PHASE[phase],
    phase,
    createdAt: Math.round(createdAt),
    ...(error === undefined ? {} : { error }),
    epoch,
    origin,
    draining,
    calls,
    sessions,
  }
}

/** The founding documents know three states of a replica; what does not run yet, or no more, is stopped. */
const STATUS_BY_PHASE: Readonly<Record<ReplicaPhase, 'running' | 'stopped' | 'error'>> = {
  pending: 'stopped',
  starting: 'stopped',
  running: 'running',
  error: 'error',
  stopped: 'stopped',
  terminated: 'stopped',
}

/** Of one server: what is wanted, and what there is. undefined for a server that nobody has. */
export function replicasView(cluster: ClusterPort, server: string) {
  const wanted = cluster.wanted(server)
  if (!wanted) return undefined
  const { replication, desired, managed, shortage } = wanted
  const { affinity, autoscale, strategy, stateLoss } = replication
  const all = cluster.replicas().filter((replica) => replica.server === server)
  return {
    serverName: server,
    desiredReplicas: desired,
    currentReplicas: all.filter(isCurrent).length,
    healthyReplicas: healthy(cluster, all),
    managed,
    affinity,
    strategy: strategy ?? null,
    autoscale: autoscale ?? null,
    stateLoss,
    shortage: shortage ?? null,
    replicas: all.map(replicaView),
  }
}

function isCurrent({ phase, draining }: ReplicaView): boolean {
  return phase !== 'terminated' && !draining
}

/** Those that run on nodes that are there. */
function healthy(cluster: ClusterPort, replicas: readonly ReplicaView[]): number {
  const online = new Set(cluster.nodes().flatMap(({ id, state }) => (state === 'online' ? [id] : [])))
  return replicas.filter(({ phase, node }) => phase === 'running' && online.has(node)).length
}

export function statusView(cluster: ClusterPort, showsAddresses: boolean) {
  const { sessions, version, nodeId, enabled, mode, leader, term } = cluster.summary()
  const nodes = cluster.nodes()
  const replicas = cluster.replicas().filter(({ phase }) => phase !== 'terminated')
  return {
    enabled,
    mode,
    role: ROLE_BY_MODE[mode],
    nodeId,
    leader: leader ?? null,
    term: term ?? null,
    version,
    stats: {
      nodes: nodes.length,
      activeNodes: nodes.filter(({ state }) => state === 'online').length,
      servers: cluster.servers().length,
      sessions,
    },
    nodes: nodes.map((node) => nodeView(node, showsAddresses)),
    totalReplicas: replicas.length,
    healthyReplicas: healthy(cluster, replicas),
    sessions,
    otherVersions: nodes.filter((node) => node.version !== version).map(({ id }) => id),
  }
}

const ROLE_BY_MODE: Readonly<Record<ClusterSummary['mode'], 'standalone' | 'master' | 'worker'>> = {
  standalone: 'standalone',
  coordinator: 'master',
  node: 'worker',
}

/** A session's id as those see it who must not take the session over: enough to tell two apart. */
export function maskedSession(id: string): string {
  return id.length >= 24 ? `${id.slice(0, 8)}…` : '…'
}

export function sessionView(route: SessionRoute, showsId: boolean) {
  const { sessionId, serverName, nodeId, replicaId, createdAt, lastActivity } = route
  return {
    sessionId: showsId ? sessionId : maskedSession(sessionId),
    serverName,
    nodeId,
    replicaId,
    createdAt: Math.round(createdAt),
    lastActivity: Math.round(lastActivity),
  }
}
