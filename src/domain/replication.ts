/** `shared`: one upstream for everybody. `user`: one for all sessions of a user. `session`: one for each client session. */
export const ISOLATIONS = ['shared', 'user', 'session'] as const
export type Isolation = (typeof ISOLATIONS)[number]

export const BALANCE_STRATEGIES = ['round-robin', 'least-connections', 'weighted', 'random'] as const
export type BalanceStrategy = (typeof BALANCE_STRATEGIES)[number]

/**
 * What becomes of a session when its replica is lost. `stateless`: it goes on with another, silently. `resumable`: with another, and
 * the client is told. `stateful`: it ends with 404, so that the client begins anew.
 */
export const STATE_LOSS_RULES = ['stateless', 'resumable', 'stateful'] as const
export type StateLoss = (typeof STATE_LOSS_RULES)[number]

/** Where a server's replicas may run. */
export interface NodeAffinity {
  /** Preferred nodes; empty = all the same. */
  readonly nodeIds: readonly string[]
  readonly excludeNodeIds: readonly string[]
  /** A node must have all of these. */
  readonly labels: Readonly<Record<string, string>>
}

export interface Autoscale {
  /** 0: it may stop altogether, and starts with the first call. */
  readonly min: number
  readonly max: number
  /** Calls in flight per replica to aim at. */
  readonly targetCalls: number
  /** How long the load must ask for more before there is one more, ms. */
  readonly upAfterMs: number
  /** How long the load must ask for fewer before there is one fewer, ms. */
  readonly downAfterMs: number
}

/** How many replicas a server has, where, and how sessions are spread over them. */
export interface Replication {
  /** Ignored under `autoscale`. */
  readonly replicas: number
  readonly affinity: NodeAffinity
  /** undefined = the cluster's. */
  readonly strategy: BalanceStrategy | undefined
  readonly autoscale: Autoscale | undefined
  readonly stateLoss: StateLoss
}

export const NO_AFFINITY: NodeAffinity = { nodeIds: [], excludeNodeIds: [], labels: {} }

/** What a server has whose settings say nothing: one replica, anywhere. A process of somebody's own holds what others lack. */
export function defaultReplication(isolation: Isolation): Replication {
  return {
    replicas: 1,
    affinity: NO_AFFINITY,
    strategy: undefined,
    autoscale: undefined,
    stateLoss: isolation === 'shared' ? 'stateless' : 'resumable',
  }
}
