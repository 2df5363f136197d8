import type { NodeCredentials } from '../../access/node-gate.ts'
import type { NodeLoad, ReplicaReport } from '../../domain/cluster.ts'

/** What a worker's own HTTP side needs of it. */
export interface WorkerPort {
  /** Its id. */
  readonly node: string
  readonly version: string
  links(): readonly WorkerLink[]
  replicas(): readonly ReplicaReport[]
  load(): NodeLoad
  stopping(): boolean
  /** @throws HubError `access.unauthenticated` for a cluster token that is wrong */
  admits(credentials: NodeCredentials): boolean
  /** Begins to run a replica; resolves when that has begun. @throws HubError `resource.exists`, `settings.invalid` */
  allocate(replica: Allocation): Promise<void>
  /** Ends a replica, whose calls in flight may finish. @throws HubError `resource.missing` */
  release(replica: Omit<Allocation, 'config'>): Promise<void>
  /**
   * Begins to dial this coordinator, or all of the settings. Safe to call twice.
   * @throws HubError `request.invalid-params` for one that the settings do not name, `hub.stopping`
   */
  join(coordinatorUrl: string | undefined): Promise<void>
}

/** A worker's connection to one of its coordinators. */
export interface WorkerLink {
  /** Its URL; credentials in it are never shown. */
  readonly coordinator: string
  readonly up: boolean
  /** How long ago the coordinator last answered a heartbeat, ms; undefined: never. */
  readonly heartbeatAgeMs: number | undefined
}

export interface Allocation {
  readonly serverName: string
  readonly replicaId: string
  /** As `mcp_settings.json` has it. */
  readonly config: Readonly<Record<string, unknown>>
}
