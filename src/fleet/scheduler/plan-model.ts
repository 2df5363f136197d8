import type { ReplicaOrigin, ReplicaPhase } from '../../domain/cluster.ts'
import type { ServerSpec } from '../../domain/server-spec.ts'
import type { PlacementNode } from './placement.ts'

/** `active`: it is to serve; `draining`: it takes nothing new and ends when it is idle; `stopping`: its node has been told to end it. */
export type ReplicaStage = 'active' | 'draining' | 'stopping'

/** What the plan looks at in a replica. */
export interface PlanReplica {
  readonly id: string
  readonly epoch: number
  readonly server: string
  readonly origin: ReplicaOrigin
  readonly node: string
  readonly specHash: string
  readonly phase: ReplicaPhase
  readonly stage: ReplicaStage
  /** How often it crashed in a row. */
  readonly failures: number
  /** ms since the epoch. */
  readonly createdAt: number
}

/** What is to be of a server. */
export interface Goal {
  readonly spec: Pick<ServerSpec, 'name' | 'transport' | 'replication'>
  readonly specHash: string
  readonly desired: number
  /** Replicas of older epochs are to be replaced, as after a change of settings. */
  readonly freshFrom: number
  /** Nodes where it crashed again and again under these settings. */
  readonly avoid: readonly string[]
}

export interface PlanInput {
  readonly nodes: readonly PlacementNode[]
  readonly runsServers: boolean | 'auto'
  readonly goals: readonly Goal[]
  readonly replicas: readonly PlanReplica[]
}

/** `new`: one more; `lost`: its node is offline; `moved`: the node is to be left; `changed`: the settings are others. */
export type CreateReason = 'new' | 'lost' | 'moved' | 'changed'

export interface Creation {
  readonly id: string
  readonly server: string
  readonly node: string
  readonly reason: CreateReason
}

/** `moved`, `changed`: replaced by another; `surplus`: one too many; `no-room`: to make room for its own successor. */
export type DrainReason = 'moved' | 'changed' | 'surplus' | 'no-room'

/** `crashing`: it fails again and again, and another node may do better; `unwanted`: its server is gone; `gone`: its node is offline. */
export type RemoveReason = 'crashing' | 'unwanted' | 'gone'

export interface Plan {
  readonly create: Creation[]
  readonly drain: { readonly id: string; readonly reason: DrainReason }[]
  /** Draining ones that are to serve again. */
  readonly restore: string[]
  readonly remove: { readonly id: string; readonly reason: RemoveReason }[]
  /** Replicas whose node is gone and that no other node can take for now. */
  readonly lost: string[]
  /** Servers that have fewer replicas than they should, and why. */
  readonly short: { readonly server: string; readonly reason: string }[]
}
