import type { NodeFacts, ReplicaPhase, ReplicaView } from '../domain/cluster.ts'
import { HubError } from '../domain/errors.ts'
import type { ServerSpec } from '../domain/server-spec.ts'
import { type ReplicaState, troubleOf } from '../fleet/worker/replica-state.ts'
import type { ClusterPort, ClusterSessions } from './ports.ts'
import type { HubInsight } from './server-views.ts'

export interface StandaloneClusterDeps {
  readonly facts: NodeFacts
  /** ms since the epoch. */
  readonly startedAt: number
  readonly hub: HubInsight
  /** How many client sessions live now. */
  sessionCount(): number
  readonly sessions?: ClusterSessions
  /** Starts a server anew; whether it runs here. */
  reload(server: string): boolean
}

/** The cluster of a hub that runs alone: one node, each server once, and nothing that concerns others. */
export function standaloneCluster(deps: StandaloneClusterDeps): ClusterPort {
  const { facts, hub, startedAt, sessions = NO_SESSIONS } = deps
  const specs = () => [...hub.settings().servers.values()].filter(({ enabled }) => enabled)
  return {
    ...sessions,
    summary: () => ({
      enabled: false,
      mode: 'standalone',
      nodeId: facts.id,
      term: undefined,
      leader: undefined,
      version: facts.version,
      sessions: deps.sessionCount(),
    }),
    nodes: () => [
      {
        ...facts,
        state: 'online',
        cordoned: false,
        draining: false,
        registeredAt: startedAt,
        lastHeartbeat: hub.now(),
        load: { cpuPercent: 0, memoryPercent: 0, activeCalls: 0 },
        replicas: specs().length,
      },
    ],
    replicas: () => specs().map((spec) => replicaOf(spec, deps)),
    servers: () => specs().map(({ name }) => name),
    wanted(server) {
      const spec = hub.settings().servers.get(server)
      return spec?.enabled
        ? { desired: 1, replication: spec.replication, managed: true, shortage: undefined }
        : undefined
    },
    events: () => ({ events: [], last: 0 }),
    async restart(server) {
      if (!deps.reload(server)) throw alone(`Server ${JSON.stringify(server)} does not run here.`)
    },
    cordon: refuse,
    uncordon: refuse,
    drain: refuse,
    removeNode: refuse,
    sync: async () => ({ revision: undefined, nodes: [] }),
    admits: () => false,
    register: refuse,
    heartbeat: refuse,
  }
}

async function refuse(): Promise<never> {
  throw alone('This hub runs alone: it has no other nodes.')
}

function alone(what: string): HubError {
  return new HubError('cluster.off', what, {
    cure: 'To have a cluster, start it with CLUSTER_ENABLED=true and CLUSTER_ROLE=coordinator, and workers beside it.',
  })
}

const NO_SESSIONS: ClusterSessions = {
  sessions: () => ({ routes: [], total: 0 }),
  session: () => undefined,
  endSession: async () => false,
}

function replicaOf(spec: ServerSpec, { facts, hub, startedAt }: StandaloneClusterDeps): ReplicaView {
  const report = hub.report(spec.name)
  const state = report?.state
  const since = state?.kind === 'running' || state?.kind === 'starting' ? state.since : undefined
  return {
    id: `${spec.name}-replica-1`,
    epoch: 0,
    server: spec.name,
    origin: 'managed',
    phase: PHASE_BY_STATE[state?.kind ?? 'pending'],
    error: troubleOf(state)?.message,
    createdAt: since === undefined ? startedAt : hub.now() - (hub.monotonic() - since),
    specHash: '',
    calls: 0,
    sessions: report?.sessionUpstreams ?? 0,
    node: facts.id,
    draining: false,
  }
}

const PHASE_BY_STATE: Readonly<Record<ReplicaState['kind'], ReplicaPhase>> = {
  pending: 'pending',
  asleep: 'stopped',
  starting: 'starting',
  running: 'running',
  failed: 'error',
  terminated: 'terminated',
}
