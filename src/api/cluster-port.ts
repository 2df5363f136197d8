import type { NodeCredentials } from '../access/node-gate.ts'
import type { ClusterEvent, NodeView, Replication, ReplicaView, SessionRoute } from '../domain/cluster.ts'

/** The whole cluster, as this node sees it and works on it. */
export interface ClusterPort extends ClusterInsight, ClusterSessions, ClusterActions, NodeDesk {}

/** What can be told without asking anybody. */
export interface ClusterInsight {
  summary(): ClusterSummary
  /** Also those that are offline and not forgotten yet. */
  nodes(): readonly NodeView[]
  /** Of all servers, managed and pinned. */
  replicas(): readonly ReplicaView[]
  /** What is wanted of a server, whether or not it runs; undefined for one that nobody has. */
  wanted(server: string): WantedReplicas | undefined
  /** Names of the servers that the settings or a worker's own file have, enabled. */
  servers(): readonly string[]
  /** Events with numbers above `since`, oldest first, at most `limit` of them: the newest. `last` is the newest number there is. */
  events(since: number, limit: number): { readonly events: readonly ClusterEvent[]; readonly last: number }
}

export interface ClusterSummary {
  readonly enabled: boolean
  /** In the words of MCPHub; `node` is a worker. */
  readonly mode: 'standalone' | 'coordinator' | 'node'
  readonly nodeId: string
  /** Of the leader's lease; undefined without a leader. */
  readonly term: number | undefined
  /** The node that plans placement. */
  readonly leader: string | undefined
  readonly version: string
  /** Client sessions that live now. */
  readonly sessions: number
}

export interface WantedReplicas {
  /** How many there are to be now, autoscaling and pinned ones included. */
  readonly desired: number
  readonly replication: Replication
  /** False for a server that only workers' own settings have: its number cannot be changed from here. */
  readonly managed: boolean
  /** Why there are fewer, as a sentence; undefined while there is room for all. */
  readonly shortage: string | undefined
}

export interface ClusterSessions {
  /** Bonds of sessions to replicas, the latest used first. */
  sessions(page: { readonly offset: number; readonly limit: number }): {
    readonly routes: readonly SessionRoute[]
    readonly total: number
  }
  /** All bonds of a session; undefined when there is no such session. */
  session(id: string): readonly SessionRoute[] | undefined
  /** Ends a client's session, as DELETE by the client would. False when there is none. */
  endSession(id: string): Promise<boolean>
}

export interface ClusterActions {
  /** Starts all replicas of a server anew, one after the other. @throws HubError `resource.missing` */
  restart(server: string): Promise<void>
  /** @throws HubError `resource.missing`, `cluster.off`; so do the next three */
  cordon(node: string): Promise<void>
  uncordon(node: string): Promise<void>
  /** Begins to move what runs there to other nodes; resolves when that has begun. */
  drain(node: string): Promise<void>
  /** Forgets a node. @throws HubError also `resource.in-use` for one that is online and not drained */
  removeNode(node: string): Promise<void>
  /** Tells every node once more what it is to run, and says who has it. */
  sync(): Promise<ClusterSync>
}

export interface ClusterSync {
  /** Of the settings in force here. */
  readonly revision: number | undefined
  readonly nodes: readonly {
    readonly id: string
    /** Of the assignment that it was sent last. */
    readonly sent: number
    /** Of the one that it has confirmed; undefined: none yet. */
    readonly confirmed: number | undefined
  }[]
}

/** What other nodes ask over HTTP, beside their links. */
export interface NodeDesk {
  /**
   * Whether a request comes from a node of this cluster: see `NodeGate` in access. Standalone, nobody does.
   * @throws HubError `access.unauthenticated` for a cluster token that is wrong
   */
  admits(credentials: NodeCredentials): boolean
  /** @throws HubError `resource.in-use` for an id that another live node has */
  register(node: NodeRegistration): Promise<RegistrationAnswer>
  /** @throws HubError `resource.missing` for a node that has not registered */
  heartbeat(beat: NodeBeat): Promise<{ readonly revision: number }>
}

/** Members that a node has not sent are undefined or missing. */
export interface NodeRegistration {
  readonly nodeId: string
  readonly host: string
  readonly port: number
  readonly name?: string | undefined
  readonly labels?: Readonly<Record<string, string>> | undefined
  readonly weight?: number | undefined
  readonly maxServers?: number | undefined
  readonly runtimes?: readonly string[] | undefined
  readonly metadata?: NodeMetadata | undefined
}

export interface NodeMetadata {
  readonly hostname?: string | undefined
  readonly version?: string | undefined
  readonly os?: string | undefined
  /** 0–100. */
  readonly cpuUsage?: number | undefined
  /** 0–100. */
  readonly memoryUsage?: number | undefined
}

export interface RegistrationAnswer {
  readonly config: {
    /** Of what the node is to run. */
    readonly revision: number
    /** ms. */
    readonly heartbeatInterval: number
    /** ms. */
    readonly heartbeatTimeout: number
  }
  /** What this node is to run, and nothing of others. */
  readonly servers: readonly AssignedServer[]
}

export interface AssignedServer {
  readonly serverName: string
  readonly replicaId: string
  readonly epoch: number
  /** With its secrets open: the node needs them to start it. */
  readonly config: Readonly<Record<string, unknown>>
}

export interface NodeBeat {
  readonly nodeId: string
  readonly servers: readonly {
    readonly name: string
    readonly status: 'connected' | 'disconnected'
    readonly tools: number
  }[]
  readonly metrics?:
    | {
        readonly cpuUsage: number
        readonly memoryUsage: number
        readonly activeConnections: number
      }
    | undefined
}
