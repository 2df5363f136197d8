import type { ServerSpec } from './server-spec.ts'

export {
  type Autoscale,
  BALANCE_STRATEGIES,
  type BalanceStrategy,
  defaultReplication,
  NO_AFFINITY,
  type NodeAffinity,
  type Replication,
  STATE_LOSS_RULES,
  type StateLoss,
} from './replication.ts'

/** What a node is to its cluster. */
export type NodeRole = 'coordinator' | 'worker'

/** `unhealthy`: it has been silent for too long, or its link is down; `offline`: it counts as gone, and its managed replicas run elsewhere. */
export type NodeState = 'online' | 'unhealthy' | 'offline'

/** What a node says of itself when it joins. */
export interface NodeFacts {
  readonly id: string
  /** For people; any characters. */
  readonly name: string
  readonly role: NodeRole
  /** The version of Flotilla. */
  readonly version: string
  /** Where others reach it; undefined where it has no address that means anything to others (NAT, 0.0.0.0). */
  readonly host: string | undefined
  readonly port: number | undefined
  readonly hostname: string
  /** Such as `linux 6.1`. */
  readonly os: string
  readonly labels: Readonly<Record<string, string>>
  /** Its share of sessions under the strategy `weighted` and in consistent hashing; 1 is usual. */
  readonly weight: number
  /** How many replicas it runs at most; undefined = no limit. */
  readonly maxServers: number | undefined
  /** Programs that start servers and were found on its PATH, such as `npx`, `uvx`, `docker`. */
  readonly runtimes: readonly string[]
}

/** How busy a node is. */
export interface NodeLoad {
  /** Of all its processors together, 0–100. */
  readonly cpuPercent: number
  /** Of its memory, 0–100. */
  readonly memoryPercent: number
  /** Calls in flight. */
  readonly activeCalls: number
}

/** A node as its coordinator sees it. Times in ms since the epoch. */
export interface NodeView extends NodeFacts {
  readonly state: NodeState
  /** Takes no new replicas. */
  readonly cordoned: boolean
  /** Gives its replicas away; implies `cordoned`. */
  readonly draining: boolean
  readonly registeredAt: number
  readonly lastHeartbeat: number
  readonly load: NodeLoad
  /** Replicas that it runs or is to run. */
  readonly replicas: number
}

export type ReplicaPhase = 'pending' | 'starting' | 'running' | 'error' | 'stopped' | 'terminated'

/** `pinned`: the node's own settings name the server. `managed`: the leader has placed it. */
export type ReplicaOrigin = 'pinned' | 'managed'

/** A replica in the words of the node that runs it. */
export interface ReplicaReport {
  /** Such as `fetch-replica-1`; of a pinned one `fetch@<node id>`. Unique in the cluster. */
  readonly id: string
  /** Grows with each placement, of pinned ones with each start: who holds an older one holds nothing. */
  readonly epoch: number
  readonly server: string
  readonly origin: ReplicaOrigin
  readonly phase: ReplicaPhase
  /** Why it is in `error`. */
  readonly error: string | undefined
  /** What it wrote last on stderr, when it is in `error`; secrets that its node knows are hidden. */
  readonly stderr?: readonly string[] | undefined
  readonly createdAt: number
  /** Of the settings it was started with: see `specHash`. */
  readonly specHash: string
  /** Calls in flight. */
  readonly calls: number
  /** Client sessions that have an upstream of their own in it. */
  readonly sessions: number
}

/** A replica as its coordinator sees it. */
export interface ReplicaView extends ReplicaReport {
  readonly node: string
  /** Takes no new sessions, and ends when its calls are done. */
  readonly draining: boolean
}

/** A managed replica that a node is to run. A node runs exactly those that its coordinator's last word names. */
export interface Assignment {
  readonly id: string
  readonly epoch: number
  readonly specHash: string
  readonly spec: ServerSpec
}

export const AFFINITY_STRATEGIES = ['consistent-hash', 'cookie', 'header', 'none'] as const
export type AffinityStrategy = (typeof AFFINITY_STRATEGIES)[number]

/** A client session's bond to a replica. Times in ms since the epoch. */
export interface SessionRoute {
  readonly sessionId: string
  readonly serverName: string
  readonly nodeId: string
  readonly replicaId: string
  readonly createdAt: number
  readonly lastActivity: number
}

export type ClusterEventKind =
  | 'joined'
  | 'unhealthy'
  | 'online'
  | 'offline'
  | 'removed'
  | 'cordoned'
  | 'uncordoned'
  | 'draining'
  | 'drained'
  | 'placed'
  | 'started'
  | 'failed'
  | 'replaced'
  | 'moved'
  | 'stopped'
  | 'scaled'
  | 'ejected'

/** Something that happened in the cluster, for people. */
export interface ClusterEvent {
  /** Counts up from 1 since the coordinator's start. */
  readonly number: number
  /** ms since the epoch. */
  readonly at: number
  readonly kind: ClusterEventKind
  readonly node: string | undefined
  readonly server: string | undefined
  readonly replica: string | undefined
  /** A sentence. */
  readonly text: string
}

/** What an `EventLog` takes: it adds number and time. */
export type ClusterNews = Pick<ClusterEvent, 'kind' | 'text'> &
  Partial<Pick<ClusterEvent, 'node' | 'server' | 'replica'>>
